"""Load back what was stored, in a fresh process, and compare every row with the folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, cast

from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.package import Package
from clothes_toolkit.release.shards import CONFIGS, GALLERY, SPLITS

TRIES = 3
LOADER = (sys.executable, "-P", "-m", "clothes_toolkit.release.loading")


class LoadingError(ToolkitError):
    """What was stored could not be loaded at all, which may pass."""


def verify(
    package: Package,
    source: str,
    revision: str | None,
    work: Path,
    environment: Mapping[str, str],
    on_progress: Progress = lambda _done, _total: None,
) -> None:
    """Compare what `load_dataset(source, revision=revision)` gives with a package, row by row.

    Args:
        package: what was stored.
        source: the absolute path of a folder, or ORG/NAME.
        revision: a commit of the Hub; `None` for a folder.
        work: an empty folder for the loader's caches.
        environment: variables that the loader needs beside the process's own.
        on_progress: hears how many rows were compared.

    Raises `RefusedError` where a row is missing, is another, or has other bytes, where train and
    test share a photo, and where the folder has changed meanwhile; `ToolkitError` where what was
    stored cannot be loaded.
    """
    expected = [
        (config, split, *row)
        for config in CONFIGS
        for split in SPLITS
        for row in package.fingerprints(config, split)
    ]
    _disjoint(package)
    for left in reversed(range(TRIES)):
        caches = Path(tempfile.mkdtemp(dir=work))
        try:
            _compare(source, expected, _loaded(source, revision, caches, environment), on_progress)
            break
        except LoadingError:
            # The loader gives up at the first answer that a busy Hub owes it.
            if not left or revision is None:
                raise
        finally:
            shutil.rmtree(caches, ignore_errors=True)
    _still_there(package)


def _compare(
    source: str,
    expected: list[tuple[str, ...]],
    loaded: Iterable[tuple[str, ...]],
    on_progress: Progress,
) -> None:
    count = 0
    for count, row in enumerate(loaded, 1):
        if count > len(expected) or row != expected[count - 1]:
            raise RefusedError(_differs(source, count, row, expected))
        on_progress(count, len(expected))
    if count < len(expected):
        raise RefusedError(f"{source}: loads {count} rows of {len(expected)}; nothing was released")


def _disjoint(package: Package) -> None:
    """Make sure that no photo is in train and in test."""
    train, test = (
        {row.photo.photo for row in package.stored.rows(GALLERY, split)} for split in SPLITS
    )
    if both := sorted(stem for stem in train & test if stem):
        raise RefusedError(f"photo {both[0]} is in train and in test; nothing was released")


def _loaded(
    source: str, revision: str | None, work: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """Yield the rows that a fresh process loads: config, split, fingerprint."""
    variables = {
        **os.environ,
        **environment,
        "HF_HUB_CACHE": str(work / "hub"),
        "HF_DATASETS_CACHE": str(work / "datasets"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    complaints = work / "loader.txt"
    asked = {"source": source, "revision": revision, "configs": list(CONFIGS)}
    with complaints.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            LOADER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=variables,
            # A folder of this name where the caller stands would be loaded in its place.
            cwd=work,
            text=True,
        )
        try:
            yield from _talk(process, json.dumps(asked))
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        why = _reason(complaints.read_text(errors="replace"))
        raise LoadingError(f"{source}: cannot be loaded back ({why}); nothing was released")


def _reason(complaints: str) -> str:
    """Return what went wrong first: Python shows it before what followed from it."""
    found = re.search(r"^[A-Za-z_.]+(?:Error|Exception)\b.*", complaints, re.MULTILINE)
    if found is None:
        return "no reason given"
    # The client puts the answer's status below, beside addresses that may hold signatures.
    status = re.search(r"^\d{3} (?:[A-Z][a-z]+ ?)+", complaints[found.end() :], re.MULTILINE)
    reason = re.sub(r"\(Request ID[^)]*\)", "", found[0]).strip(" :")
    return f"{reason}: {status[0].strip()}" if status and "HTTP" in reason else reason


def _talk(process: subprocess.Popen[str], asked: str) -> Iterator[tuple[str, ...]]:
    into, out = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
    with into, out:
        into.write(asked + "\n")
        into.flush()
        for line in out:
            yield tuple(json.loads(line))
        process.wait()


def _differs(source: str, count: int, row: tuple[str, ...], expected: list[tuple[str, ...]]) -> str:
    if count > len(expected):
        return f"{source}: loads more than {len(expected)} rows; nothing was released"
    wanted = expected[count - 1]
    where = f"row {count} ({wanted[0]}, {wanted[1]})"
    return f"{source}: {where} is not what is in the folder ({row[2:]}); nothing was released"


def _still_there(package: Package) -> None:
    """Make sure that the folder is still what was stored."""
    for record in package.manifest.files:
        if not record.is_at(package.root / record.path):
            raise RefusedError(
                f"{record.path}: has changed while it was released; nothing was released, run the "
                "same command again"
            )
