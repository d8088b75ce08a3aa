"""A process that dies, by SIGKILL, at its n-th system call that touches a folder."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CALLS = {
    "open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.listdir", "os.scandir",
    "os.truncate", "os.link", "fcntl.flock", "shutil.rmtree", "shutil.copyfile", "os.utime",
}  # fmt: skip
_armed: list[int] = []


def _hook(event: str, _args: tuple[object, ...]) -> None:
    if _armed and event in CALLS:
        _armed[0] -= 1
        if _armed[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def dies_at(event: int) -> Iterator[None]:
    """Count audited calls in the block and kill the process at the one with number `event`."""
    _armed[:] = [event]
    sys.addaudithook(_hook)
    try:
        yield
    finally:
        _armed.clear()
