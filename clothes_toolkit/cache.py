"""What was learned of images, remembered between runs by path, size and time of change."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from pathlib import Path

import PIL

from clothes_toolkit.images import ImageFacts

PRIVATE_FOLDER = ".clothes"
SETTLED_NS = 2_000_000_000
"""A file changed within this time may change again without its clock showing it."""

_VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts
    (path BLOB PRIMARY KEY, stamp TEXT, json TEXT, miniature BLOB);
CREATE TABLE IF NOT EXISTS found (key TEXT PRIMARY KEY, json TEXT, moment INTEGER);
CREATE TABLE IF NOT EXISTS made_for (signature TEXT);
"""
_FOUND_KEPT = 8


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file is still the one that was read."""

    size: int
    modified_ns: int
    changed_ns: int
    is_settled: bool
    """Whether a change since then is sure to give another stamp."""

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Read a file's stamp; raises `OSError`."""
        status = path.stat()
        latest = max(status.st_mtime_ns, status.st_ctime_ns)
        settled = time.time_ns() - latest > SETTLED_NS
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, settled)

    def __str__(self) -> str:
        return f"{self.size} {self.modified_ns} {self.changed_ns}"


class FactsCache:
    """Facts about the images of one dataset, and what was found in them: `.clothes/facts.sqlite`.

    A folder that forbids writing has no cache; a damaged one is made anew.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / PRIVATE_FOLDER
        self._file = self._folder / "facts.sqlite"
        # Mode bits, too: an administrator may write where nobody should.
        self._writable = (
            os.access(root, os.W_OK)
            and bool(root.stat().st_mode & 0o222)
            and not self._folder.is_symlink()
        )

    def recall(self, stamps: Mapping[str, Stamp]) -> dict[str, ImageFacts]:
        """Return the facts of the files whose stamps are still the same."""
        if not self._writable or not self._file.exists():
            return {}
        try:
            with closing(self._connect()) as database:
                rows = database.execute("SELECT path, stamp, json, miniature FROM facts").fetchall()
            return {
                path: ImageFacts.from_json(json.loads(text), miniature)
                for path, stamp, text, miniature in (
                    (os.fsdecode(raw), *rest) for raw, *rest in rows
                )
                if path in stamps and str(stamps[path]) == stamp
            }
        except (sqlite3.Error, ValueError, TypeError, KeyError):
            self._discard()
            return {}

    def remember(self, facts: Iterable[tuple[str, Stamp, ImageFacts]]) -> None:
        """Keep facts, of settled files only; does nothing where writing is forbidden."""
        rows = [
            (os.fsencode(path), str(stamp), json.dumps(found.to_json()), found.miniature)
            for path, stamp, found in facts
            if stamp.is_settled
        ]
        if not rows or not self._writable:
            return
        try:
            self._folder.mkdir(exist_ok=True)
            with closing(self._connect()) as database, database:
                database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows)
        except (OSError, sqlite3.Error):
            # A cache that cannot be kept costs time, not truth.
            self._discard()

    def recall_found(self, key: str) -> str | None:
        """Return what was found in the images that a key stands for, or `None`."""
        if not self._writable or not self._file.exists():
            return None
        try:
            with closing(self._connect()) as database:
                row = database.execute("SELECT json FROM found WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            self._discard()
            return None
        return None if row is None else str(row[0])

    def remember_found(self, key: str, found: str) -> None:
        """Keep what was found, and forget what is oldest; does nothing where there is no cache."""
        if not self._writable or not self._file.exists():
            return
        try:
            with closing(self._connect()) as database, database:
                database.execute(
                    "INSERT OR REPLACE INTO found VALUES (?, ?, ?)", (key, found, time.time_ns())
                )
                database.execute(
                    "DELETE FROM found WHERE key NOT IN "
                    "(SELECT key FROM found ORDER BY moment DESC LIMIT ?)",
                    (_FOUND_KEPT,),
                )
        except sqlite3.Error:
            self._discard()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, timeout=10)
        # Another Pillow may decode and shrink images a little differently.
        signature = f"{_VERSION} {PIL.__version__} {' '.join(f.name for f in fields(ImageFacts))}"
        database.executescript(_SCHEMA)
        if database.execute("SELECT signature FROM made_for").fetchall() != [(signature,)]:
            database.execute("DELETE FROM facts")
            database.execute("DELETE FROM found")
            database.execute("DELETE FROM made_for")
            database.execute("INSERT INTO made_for VALUES (?)", (signature,))
            database.commit()
        return database

    def _discard(self) -> None:
        if self._writable:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
