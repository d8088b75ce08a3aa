"""How new files and folders come to be: written beside, flushed, renamed at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clothes_toolkit.errors import ToolkitError

PARTIAL = ".partial"


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file or none of it: under another name, flushed to the disk, then renamed.

    Raises `ToolkitError` where it cannot be written; what was there before stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        beside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make sure that what was renamed in a folder stays so after a power cut, where that can be."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        # Some disks cannot flush a folder; the renames themselves stay atomic.
        return
    finally:
        os.close(handle)


def partial_folder(out: Path) -> Path:
    """Return where `out` is built until it is complete."""
    return out.with_name(out.name + PARTIAL)


@contextmanager
def new_folder(out: Path, *, keep_partial: bool = False) -> Iterator[Path]:
    """Build a new folder beside `out` and rename it to `out` when the block ends well.

    When the block fails nothing is left, unless `keep_partial` says that a later call goes on from
    there. Raises `ToolkitError` where `out` exists or cannot be made.
    """
    out = out.absolute()
    if out.exists():
        raise ToolkitError(f"{out}: exists already; name a new folder, or remove it")
    beside = partial_folder(out)
    if beside.exists() and not keep_partial:
        shutil.rmtree(beside)
    try:
        beside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolkitError(f"{out}: cannot be made ({error.strerror})") from error
    try:
        yield beside
    except BaseException:
        if not keep_partial:
            shutil.rmtree(beside, ignore_errors=True)
        raise
    beside.rename(out)
