"""What is to be changed in a dataset, before anything is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit.errors import ToolkitError


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one file.

    Attributes:
        source: where it is, relative to the dataset's root; `None` for a new file.
        target: where it goes; `None` for quarantine.
        why: the reason, in words.
        data: its new content; left out, the content stays. What was there before is kept in
            quarantine.
        sha256: of the content that the step was planned for, where it is known.
    """

    source: str | None
    target: str | None
    why: str
    data: bytes | None = None
    sha256: str | None = None

    @property
    def does(self) -> str:
        """What the step does, in one word."""
        if self.source is None:
            return "add"
        if self.target is None:
            return "quarantine"
        if self.source != self.target:
            return "rename"
        return "rewrite"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps that are all made, or none of them.

    Attributes:
        command: what asked for them.
        steps: each file at most once as a source and once as a target.
    """

    command: str
    steps: tuple[Step, ...]

    def check(self, root: Path) -> None:
        """Raise `ToolkitError` where the folder does not allow the plan."""
        sources = [step.source for step in self.steps if step.source is not None]
        targets = [step.target for step in self.steps if step.target is not None]
        for path, count in (Counter(sources) | Counter(targets)).items():
            if count > 1:
                raise ToolkitError(f"{path}: two steps of one change name it")
        for step in self.steps:
            if step.source is None and step.data is None:
                raise ToolkitError(f"{step.target}: a new file without content")
        for path in sources:
            if (root / path).is_symlink() or not (root / path).is_file():
                raise ToolkitError(f"{path}: no longer a plain file; look again and plan anew")
        for path in set(targets) - set(sources):
            if is_taken(root / path, (root / source for source in sources)):
                raise ToolkitError(f"{path}: is there already; look again and plan anew")
        for path in {*sources, *targets}:
            check_inside(root, path)

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Return what, where and why of each step, for people."""
        for step in self.steps:
            where = step.source or step.target or ""
            if step.does == "rename":
                where = f"{step.source} → {step.target}"
            yield step.does, where, step.why


def is_taken(path: Path, leaving: Iterable[Path]) -> bool:
    """Whether there is a file at a path that is none of those which leave their places.

    On a disk that knows no letter case a file is at its new name before it is renamed.
    """
    if not os.path.lexists(path):
        return False
    there = path.lstat()
    return not any(os.path.samestat(there, other.lstat()) for other in leaving if other.exists())


def check_inside(root: Path, path: str) -> None:
    """Raise `ToolkitError` where a path leads out of the dataset, or to another disk.

    A file cannot be moved to another disk in one step.
    """
    folder = (root / path).parent
    real = Path(os.path.realpath(folder))
    out = Path(path).is_absolute() or ".." in Path(path).parts
    if out or not real.is_relative_to(os.path.realpath(root)):
        raise ToolkitError(f"{path}: leads out of the dataset")
    while not real.exists():
        real = real.parent
    if real.stat().st_dev != root.stat().st_dev:
        raise ToolkitError(f"{path}: lies on another disk than the dataset's root")
