"""What a folder holds, for comparing before with after."""

from __future__ import annotations

from pathlib import Path

Tree = dict[str, bytes]


def tree(folder: Path) -> Tree:
    """Return what a reader sees: every file outside `.clothes`."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".clothes" not in path.parts
    }


def contents(folder: Path) -> set[bytes]:
    """Return every content that is anywhere, quarantine included."""
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}
