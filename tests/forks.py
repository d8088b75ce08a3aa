"""Commands as forked processes, which spend their time on their work and not on imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clothes_toolkit.cli import main as command_line


def start(folder: Path, arguments: Sequence[str], said: Path = Path(os.devnull)) -> int:
    """Start a command in a folder, its output added to the file `said`; return its process."""
    process = os.fork()
    if process:
        return process
    try:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.chdir(folder)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["clothes-toolkit", *arguments, "--debug"]
        command_line()
    except SystemExit as stopped:
        os._exit(stopped.code if isinstance(stopped.code, int) else 70)
    finally:
        os._exit(71)


def finish(process: int) -> int:
    """Wait for a process and return its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def hold(holds: bool, otherwise: str) -> None:
    """Raise unless something holds."""
    if not holds:
        raise AssertionError(otherwise)
