"""What changed between two releases, and how far that moves the version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clothes_toolkit.release.manifest import IMAGE_FOLDERS, FileRecord, Manifest
from clothes_toolkit.release.version import Step


@dataclass(frozen=True, slots=True)
class Changes:
    """What a second release has that a first one has not, and the reverse.

    Attributes:
        added, removed, changed: paths; what is changed has its path and other bytes.
        moved: pairs of an old and a new path: into the other split, or renamed with its content.
        step: how far this moves the version.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    step: Step = Step.NONE

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.added or self.removed or self.changed or self.moved)

    def counted(self) -> str:
        """Return how many files were added, removed, changed and moved, in words."""
        kinds = ("added", "removed", "changed", "moved")
        return ", ".join(f"{n} {kind}" for kind in kinds if (n := len(getattr(self, kind))))

    def to_json(self) -> dict[str, Any]:
        """Return the changes as JSON values, schema `clothes-toolkit/diff/1`."""
        return {
            "schema": "clothes-toolkit/diff/1",
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": list(self.changed),
            "moved": [{"path": old, "to": new} for old, new in self.moved],
            "version_step": self.step.word,
        }


def compare(old: Manifest, new: Manifest) -> Changes:
    """Return what changed from one release to another."""
    before = {path: r for path, r in old.by_path.items() if path not in new.by_path}
    after = {path: r for path, r in new.by_path.items() if path not in old.by_path}
    moved = sorted(_moved(before, after))
    both = [r for path, r in new.by_path.items() if path in old.by_path]
    changed = [r.path for r in both if r.sha256 != old.by_path[r.path].sha256]
    # What came into another split may have been drawn again on the way.
    changed += [to for path, to in moved if after[to].sha256 != before[path].sha256]
    left, came = {path for path, _ in moved}, {to for _, to in moved}
    gone, new_ones = before.keys() - left, after.keys() - came
    touched = [old.by_path[path] for path in (*gone, *left)]
    touched += [new.by_path[path] for path in (*new_ones, *came, *changed)]
    return Changes(
        tuple(sorted(new_ones)),
        tuple(sorted(gone)),
        tuple(sorted(changed)),
        tuple(moved),
        _step(touched),
    )


def _moved(
    before: dict[str, FileRecord], after: dict[str, FileRecord]
) -> Iterator[tuple[str, str]]:
    """Yield old and new paths of one image: first those that keep their name, then their bytes."""
    left, came = dict(before), dict(after)
    for key in (_by_name, _by_content):
        groups: dict[object, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, records in enumerate((left, came)):
            for path, record in records.items():
                groups[key(record)][side].append(path)
        for olds, news in groups.values():
            for old, new in zip(sorted(olds), sorted(news), strict=False):
                del left[old], came[new]
                yield old, new


def _by_name(record: FileRecord) -> object:
    """What an image keeps that goes into the other split."""
    folder, _, name = record.path.rpartition("/")
    return folder[-1:], name


def _by_content(record: FileRecord) -> object:
    return record.path.rpartition("/")[0][-1:], record.sha256


def _step(touched: Iterable[FileRecord]) -> Step:
    """Return how far changed files move a version, see `Step`."""
    step = Step.NONE
    for record in touched:
        is_image = record.path.partition("/")[0] in IMAGE_FOLDERS
        of_file = Step.MINOR if is_image else Step.PATCH
        step = max(step, Step.MAJOR if record.split == "test" else of_file)
    return step
