"""What the studio remembers: drafts, submissions, reviews, sessions, and who did what; SQLite.

Every change of a state is one transaction together with its line in the log.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotation_ui.change import Change
from annotation_ui.records import Draft, State, Submission
from clothes_toolkit.errors import ToolkitError

OWNER_ONLY = 0o600
BUSY_SECONDS = 20.0

MIGRATIONS = (
    """
    CREATE TABLE drafts (
        designer TEXT NOT NULL, photo TEXT NOT NULL, revision INTEGER NOT NULL,
        document BLOB, moment REAL NOT NULL, save TEXT NOT NULL,
        PRIMARY KEY (designer, photo)
    ) WITHOUT ROWID;
    CREATE TABLE submissions (
        id INTEGER PRIMARY KEY, designer TEXT NOT NULL, photo TEXT NOT NULL,
        version INTEGER NOT NULL, state TEXT NOT NULL, strokes BLOB, picture BLOB NOT NULL,
        base TEXT, findings TEXT NOT NULL, moment REAL NOT NULL,
        UNIQUE (designer, photo, version)
    );
    CREATE INDEX submissions_by_state ON submissions (state);
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY, submission INTEGER NOT NULL REFERENCES submissions (id),
        reviewer TEXT NOT NULL, decision TEXT NOT NULL, comment TEXT NOT NULL, moment REAL NOT NULL
    );
    CREATE INDEX reviews_by_submission ON reviews (submission);
    CREATE TABLE skips (
        designer TEXT NOT NULL, photo TEXT NOT NULL, moment REAL NOT NULL,
        PRIMARY KEY (designer, photo)
    ) WITHOUT ROWID;
    CREATE TABLE sessions (
        token TEXT PRIMARY KEY, person TEXT NOT NULL, secret TEXT NOT NULL, ends REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE failures (
        person TEXT PRIMARY KEY, count INTEGER NOT NULL, moment REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE log (
        id INTEGER PRIMARY KEY, moment REAL NOT NULL, person TEXT NOT NULL, what TEXT NOT NULL,
        designer TEXT, photo TEXT, detail TEXT NOT NULL
    );
    """,
)
"""What makes each version of the schema from the one before."""


_SUBMISSION = """
SELECT id, designer, photo, version, state, strokes, picture, base, findings, moment,
    COALESCE((SELECT comment FROM reviews WHERE submission = submissions.id
              ORDER BY id DESC LIMIT 1), '')
FROM submissions
"""


class Store:
    """One database file; made where there is none, brought up to date where it is older."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self.file, self.clock = file, clock
        self._idle: list[sqlite3.Connection] = []
        self.close = weakref.finalize(self, _close_all, self._idle)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
        except OSError as error:
            raise ToolkitError(f"{file}: cannot be written ({error.strerror})") from error
        self._migrate()

    def _migrate(self) -> None:
        with self._connected() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("BEGIN IMMEDIATE")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise ToolkitError(
                    f"{self.file}: made by a newer clothes-toolkit (schema {version}); upgrade"
                )
            for number in range(version, len(MIGRATIONS)):
                for statement in MIGRATIONS[number].split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number + 1}")
            database.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        database = None
        try:
            database = self._idle.pop() if self._idle else self._opened()
            yield database
        except sqlite3.Error as error:
            raise ToolkitError(f"{self.file}: {error}; nothing was changed") from error
        finally:
            # Closing the last one would write the whole log into the database each time.
            if database is not None:
                self._idle.append(database)

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.file, BUSY_SECONDS, check_same_thread=False)
        database.isolation_level = None
        try:
            # A commit that was answered must outlive a power cut, too.
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            database.close()
            raise
        return database

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Give a transaction: all of it is kept, or, where it raises, nothing."""
        with self._connected() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield Change(database, self.clock())
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def draft(self, designer: str, photo: str) -> Draft | None:
        """Return a designer's draft of a photo."""
        rows = self._rows(
            "SELECT document, revision FROM drafts "
            "WHERE designer = ? AND photo = ? AND document IS NOT NULL",
            designer,
            photo,
        )
        return Draft(*rows[0]) if rows else None

    def revision(self, designer: str, photo: str) -> int:
        """Return the revision that a designer's next save of a photo goes on from."""
        rows = self._rows(
            "SELECT revision FROM drafts WHERE designer = ? AND photo = ?", designer, photo
        )
        return rows[0][0] if rows else 0

    def drafted(self, designer: str) -> dict[str, float]:
        """Return when each photo's draft was last saved."""
        return dict(
            self._rows(
                "SELECT photo, moment FROM drafts WHERE designer = ? AND document IS NOT NULL",
                designer,
            )
        )

    def moments(self, designer: str) -> dict[str, float]:
        """Return when a designer's sketch of each photo was handed in or decided about last."""
        rows = self._rows(
            "SELECT photo, MAX(MAX(s.moment, COALESCE(r.moment, 0))) FROM submissions s "
            "LEFT JOIN reviews r ON r.submission = s.id WHERE designer = ? GROUP BY photo",
            designer,
        )
        return dict(rows)

    def skipped(self, designer: str) -> dict[str, float]:
        """Return when each photo was skipped."""
        return dict(self._rows("SELECT photo, moment FROM skips WHERE designer = ?", designer))

    def submission(self, number: int) -> Submission | None:
        """Return a submission by its id."""
        rows = self._rows(f"{_SUBMISSION} WHERE id = ?", number)
        return _submission(rows[0]) if rows else None

    def submissions(
        self,
        state: State | None = None,
        designer: str | None = None,
        photo: str | None = None,
    ) -> list[Submission]:
        """Return submissions, oldest first."""
        wanted = {"state": state, "designer": designer, "photo": photo}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        query = f"{_SUBMISSION} {f'WHERE {where}' if where else ''} ORDER BY id"
        return [_submission(row) for row in self._rows(query, *given.values())]

    def latest(self, designer: str | None = None) -> dict[tuple[str, str], tuple[int, State, str]]:
        """Return id, state and comment of the last version, by designer and photo."""
        where = "" if designer is None else "WHERE designer = ?"
        rows = self._rows(
            f"SELECT designer, photo, MAX(version), id, state, COALESCE((SELECT comment FROM "  # noqa: S608 - no values
            "reviews WHERE submission = submissions.id ORDER BY id DESC LIMIT 1), '') "
            f"FROM submissions {where} GROUP BY designer, photo",
            *([] if designer is None else [designer]),
        )
        return {(who, photo): (key, State(state), comment)
                for who, photo, _, key, state, comment in rows}  # fmt: skip

    def log(self) -> list[dict[str, Any]]:
        """Return who did what, oldest first."""
        names = ("moment", "person", "what", "designer", "photo", "detail")
        rows = self._rows(f"SELECT {', '.join(names)} FROM log ORDER BY id")  # noqa: S608 - no values
        return [dict(zip(names, row, strict=True)) for row in rows]

    def session(self, token: str) -> tuple[str, str] | None:
        """Return whose session it is and what it was begun with; `None` where it has ended."""
        rows = self._rows("SELECT person, secret, ends FROM sessions WHERE token = ?", token)
        return rows[0][:2] if rows and rows[0][2] > self.clock() else None

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._connected() as database:
            return database.execute(query, values).fetchall()


def _close_all(databases: list[sqlite3.Connection]) -> None:
    while databases:
        databases.pop().close()


def _submission(row: tuple[Any, ...]) -> Submission:
    key, designer, photo, version, state, strokes, picture, base, findings, moment, comment = row
    return Submission(
        key, designer, photo, version, State(state), strokes, picture, base,
        tuple(json.loads(findings)), moment, comment,
    )  # fmt: skip
