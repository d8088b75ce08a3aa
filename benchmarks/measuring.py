"""How a process is measured: its seconds, and the most memory that it and its children held."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

EVERY = 0.1
"""Seconds between two looks at the memory."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One process: its output, wall-clock seconds, and peak memory in MiB.

    Memory is the sum of the proportional set sizes of the process and its children, so that pages
    which they share count once.
    """

    output: str
    seconds: float
    mebibytes: float


def measure(command: Sequence[str | Path], ok: Sequence[int] = (0,)) -> Measured:
    """Run a command and measure it; raises where it ends with another status than `ok`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err)
        watched = psutil.Process(process.pid)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(watched))
            time.sleep(EVERY)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        if process.returncode not in ok:
            raise RuntimeError(
                f"{command[0]} ended with {process.returncode}: {err.read()[-2000:]}"
            )
        return Measured(out.read(), seconds, peak / 2**20)


def machine() -> dict[str, Any]:
    """Describe the machine, in so far as it explains the numbers."""
    return {
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def _memory(process: psutil.Process) -> int:
    total = 0
    for one in [process, *_children(process)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue  # it has ended
    return total


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
