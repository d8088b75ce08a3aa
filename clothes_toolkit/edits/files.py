"""How new files and folders come to be: written beside, flushed, renamed at the end."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import ToolkitError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial"
_FICLONE = 0x40049409
"""Linux: let one file share another's blocks until one of them is written."""


def write_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a whole file or none of it: under another name, flushed to the disk, then renamed.

    `mode` is who may do what with it, from its first byte on; the process's own if left out.
    Raises `ToolkitError` where it cannot be written; what was there before stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            if mode is not None:
                beside.chmod(mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        beside.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's content; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_file(source: Path, target: Path, *, link: bool = False) -> None:
    """Copy a file with its times, sharing its blocks where the disk can; or make a hard link.

    Raises `ToolkitError` where `source` cannot be read or `target` cannot be written.
    """
    try:
        if link:
            os.link(os.path.realpath(source), target)
            return
        with source.open("rb") as reader, target.open("xb") as writer:
            if not _cloned(reader.fileno(), writer.fileno()):
                shutil.copyfileobj(reader, writer)
        shutil.copystat(source, target)
    except OSError as error:
        raise ToolkitError(
            f"{error.filename or target}: cannot be copied ({error.strerror})"
        ) from error


def _cloned(source: int, target: int) -> bool:
    """Whether a file's blocks could be shared instead of copied."""
    with suppress(OSError):
        if fcntl is not None:
            fcntl.ioctl(target, _FICLONE, source)
            return True
    return False


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
    there. What a process that died left beside is removed by the next call. Raises `ToolkitError`
    where `out` exists or cannot be made, or somebody else is making it.
    """
    out = out.absolute()
    if os.path.lexists(out):
        raise ToolkitError(f"{out}: exists already; name a new folder, or remove it")
    beside = partial_folder(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with locked(out.with_name(f".{out.name}.lock")) as left_behind:
            if beside.exists() and not keep_partial:
                if not left_behind:
                    raise ToolkitError(f"{beside}: is in the way; move it away, or remove it")
                shutil.rmtree(beside)
            beside.mkdir(exist_ok=True)
            with _removed_on_failure(beside, keep_partial):
                yield beside
            if os.path.lexists(out):
                raise ToolkitError(f"{out}: has appeared meanwhile; what was made is in {beside}")
            beside.rename(out)
            sync_folder(out.parent)
    except OSError as error:
        where = error.filename or out
        raise ToolkitError(f"{where}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _removed_on_failure(folder: Path, keep: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        raise
