"""One writer at a time: a file that names the process that writes.

The lock of a process that died is taken over. Where the system has advisory locks they keep two
processes from taking one over at once.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clothes_toolkit.errors import ToolkitError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

OWNER_ONLY = 0o600


class LockedError(ToolkitError):
    """Somebody else is writing."""


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock file `path`; gives whether it was left behind by a process that died.

    Raises `LockedError` where a living process holds it, and `ToolkitError` where it cannot be
    made.
    """
    file, stale = _take(path)
    try:
        yield stale
    finally:
        # Unlinked while it is still held, so that nobody locks a file that has no name.
        path.unlink(missing_ok=True)
        os.close(file)


def _take(path: Path) -> tuple[int, bool]:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        except OSError as error:
            raise ToolkitError(f"{path}: cannot be written ({error.strerror})") from error
        try:
            owner = _claim(file, path)
        except BaseException:
            os.close(file)
            raise
        if owner is not None:
            return file, owner != ""
        os.close(file)


def _claim(file: int, path: Path) -> str | None:
    """Write our name into an open lock file and return what was there; `None` if it was unlinked.

    Raises `LockedError` where a living process is named there.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockedError(_busy(path, _read(file))) from None
        try:
            if not os.path.samestat(os.fstat(file), path.stat()):
                return None
        except FileNotFoundError:
            return None
    text = _read(file)
    if _lives(text):
        raise LockedError(_busy(path, text))
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
    return text


def _read(file: int) -> str:
    return os.pread(file, 4096, 0).decode("utf-8", "replace")


def _owner(text: str) -> tuple[int, str] | None:
    """Return the process and host that a lock names; a bare number is a process of this host."""
    try:
        found = json.loads(text)
        if isinstance(found, int):
            return found, socket.gethostname()
        return int(found["pid"]), str(found["host"])
    except (ValueError, KeyError, TypeError):
        return None


def _lives(text: str) -> bool:
    owner = _owner(text)
    if owner is None:
        return False
    pid, host = owner
    if host != socket.gethostname():
        return True
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    return True


def _busy(path: Path, text: str) -> str:
    owner = _owner(text)
    if owner is None:
        return f"{path}: another process is writing; try again later"
    pid, host = owner
    where = "" if host == socket.gethostname() else f" on {host}"
    return (
        f"{path}: process {pid}{where} is writing; try again later, or remove this file if that "
        "process is gone"
    )
