"""One photo of each group of photos, with the sketches of all: what would change, what is left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit import naming
from clothes_toolkit.dataset import Dataset, Entry
from clothes_toolkit.dedup import Group, sketches_by_photo, stem_of
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.naming import PhotoName, Side, SketchName
from clothes_toolkit.split import SPLIT_FILE, split_of, with_photos_replaced


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that a merge leaves as it is, and why."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Merge:
    """What merging would change, and what it would leave."""

    plan: Plan
    conflicts: tuple[Conflict, ...]


def merge(dataset: Dataset, images: Mapping[str, ImageFacts], groups: Sequence[Group]) -> Merge:
    """Return how each group of photos becomes one photo, with the sketches of all.

    The kept photo takes over the others' sketches where the designer's place is free. Photos that
    are on both sides of a split, and sketches under two photos, are conflicts: nobody but a person
    can know what is right.
    """
    merger = _Merger(dataset, images)
    for photo, other in _to_merge(groups):
        merger.merge(photo, other)
    merger.update_split_file()
    gone = {step.source for step in merger.steps if step.target is None}
    renamed = {step.source: step.target for step in merger.steps}
    for group in groups:
        merger.conflicts += _left(group, gone, renamed)
    return Merge(Plan("dedup", tuple(merger.steps)), tuple(merger.conflicts))


def _to_merge(groups: Sequence[Group]) -> Iterator[tuple[str, str]]:
    """Yield pairs of a photo to keep, one that no other replaces, and one to give way."""
    replaced: dict[str, str] = {}
    for group in groups:
        if group.side is Side.PHOTO and not group.mirrored:
            replaced |= {d.path: group.keep for d in group.duplicates if d.accepted is None}
    for path in sorted(replaced):
        keep = replaced[path]
        while keep in replaced:
            keep = replaced[keep]
        yield keep, path


def _left(
    group: Group, gone: set[str | None], renamed: Mapping[str | None, str | None]
) -> Iterator[Conflict]:
    for duplicate in group.duplicates:
        if duplicate.accepted is not None or {duplicate.path, group.keep} & gone:
            continue
        if group.mirrored:
            message = f"the mirror image of {group.keep}: its sketches are mirrored, too"
            yield Conflict(duplicate.path, message)
        elif group.side is Side.SKETCH:
            where = renamed.get(group.keep, group.keep)
            yield Conflict(duplicate.path, f"the drawing of {where}, too: which one does it draw?")


class _Merger:
    def __init__(self, dataset: Dataset, images: Mapping[str, ImageFacts]) -> None:
        self.dataset, self.images = dataset, images
        self.entries = {entry.path: entry for entry in dataset.entries}
        self.taken = {naming.folded(path) for path in self.entries}
        self.sketches = sketches_by_photo(dataset)
        self.unseen = dict(_unseen_sketches(dataset, self.sketches.values()))
        self.split = split_of(dataset)
        self.steps: list[Step] = []
        self.touched: set[str | None] = set()
        self.conflicts: list[Conflict] = []
        self.merged: dict[str, str] = {}

    def merge(self, keep: str, path: str) -> None:
        """Let the photo at `keep` take over the sketches of the one at `path`."""
        photo, other = self.entries[keep], self.entries[path]
        obstacle = self._obstacle(photo, other)
        if obstacle:
            self.conflicts.append(Conflict(path, obstacle))
            return
        stem, old = stem_of(photo), stem_of(other)
        theirs = self.sketches.setdefault((photo.split, stem), {})
        left = [
            designer
            for designer, sketch in sorted(self.sketches.get((other.split, old), {}).items())
            if not self._take_over(sketch, designer, stem, theirs)
        ]
        if left:
            names = ", ".join(left)
            message = f"is {keep}, but stays for the sketches by {names}, which have no place there"
            self.conflicts.append(Conflict(path, message))
            return
        self._step(path, None, f"is {keep}")
        self.merged[old] = stem

    def update_split_file(self) -> None:
        """Let `split.json` name the photos that are left."""
        if self.split is None:
            return
        split = with_photos_replaced(self.split, self.merged)
        if split != self.split:
            why = "photos were merged"
            self.steps.append(Step(SPLIT_FILE, SPLIT_FILE, why, split.to_bytes()))

    def _obstacle(self, photo: Entry, other: Entry) -> str | None:
        for entry in (photo, other):
            if not (entry.at_home and isinstance(entry.name, PhotoName)):
                return f"{entry.path} has no photo's name; `clothes-toolkit fix` first"
            if (self.dataset.root / entry.path).is_symlink():
                return f"{entry.path} is a link; replace it with a copy of what it names"
        if photo.split != other.split:
            return (
                f"is {photo.path}, on the other side of the split; "
                "`clothes-toolkit split` keeps both on one"
            )
        if photo.name == other.name:
            return f"has the stem of {photo.path}; rename one"
        sides = {self._side_in_file(photo), self._side_in_file(other)}
        if {"train", "test"} <= sides:
            return f"is {photo.path}, on the other side of the split in {SPLIT_FILE}"
        for entry in (photo, other):
            if path := self.unseen.get((entry.split, stem_of(entry))):
                return (
                    f"{path} seems to be a sketch of {entry.path}, but is not counted as one; "
                    "see `clothes-toolkit validate`"
                )
        return None

    def _side_in_file(self, photo: Entry) -> str:
        """Return the side on which `split.json` names a photo; empty where it does not."""
        stem = stem_of(photo)
        if self.split is None:
            return ""
        return "train" if stem in self.split.train else "test" if stem in self.split.test else ""

    def _same_drawing(self, one: Entry, other: Entry) -> bool:
        facts, others = self.images.get(one.path), self.images.get(other.path)
        if facts is None or others is None:
            return False
        if facts.sha256 and facts.sha256 == others.sha256:
            return True
        return facts.pixels is not None and facts.pixels == others.pixels

    def _take_over(self, sketch: Entry, designer: str, stem: str, theirs: dict[str, Entry]) -> bool:
        """Give a sketch to the photo `stem`, unless the designer drew that, too."""
        rival, name = theirs.get(designer), SketchName(stem, designer)
        if rival is not None:
            if not self._same_drawing(rival, sketch):
                message = f"designer {designer} drew both photos: {rival.path} is there already"
                self.conflicts.append(Conflict(sketch.path, message))
                return False
            self._step(sketch.path, None, f"the same drawing as {rival.path}")
            has_strokes = os.path.lexists(self._strokes(rival))
            free = not has_strokes and self._strokes_obstacle(sketch, name) is None
            self._move_strokes(sketch, name if free else None)
            return True
        folder, _, filename = sketch.path.rpartition("/")
        target = f"{folder}/{naming.filename(name, naming.split_extension(filename)[1])}"
        if naming.folded(target) in self.taken:
            self.conflicts.append(Conflict(sketch.path, f"{target} is there already"))
            return False
        if obstacle := self._strokes_obstacle(sketch, name):
            self.conflicts.append(Conflict(sketch.path, obstacle))
            return False
        self._step(sketch.path, target, f"draws {stem}")
        self._move_strokes(sketch, name)
        theirs[designer] = sketch
        return True

    def _strokes(self, sketch: Entry) -> Path:
        return self.dataset.root / "strokes" / f"{stem_of(sketch)}.json"

    def _strokes_obstacle(self, sketch: Entry, name: SketchName) -> str | None:
        """Tell why a sketch's strokes cannot follow it to a new name."""
        if "strokes" in self.dataset.escaped_folders:
            return None
        file, target = self._strokes(sketch), f"strokes/{name.stem}.json"
        if os.path.lexists(self.dataset.root / target) or target in self.touched:
            return f"{target} is there already; whose strokes are they?"
        if not os.path.lexists(file):
            return None
        if file.is_symlink() or not file.is_file():
            return f"strokes/{file.name} is no plain file; replace it with one"
        if f"strokes/{file.name}" in self.touched:
            return f"strokes/{file.name} belongs to two sketches"
        return None

    def _move_strokes(self, sketch: Entry, name: SketchName | None) -> None:
        """Let a sketch's strokes follow it."""
        file = self._strokes(sketch)
        if "strokes" in self.dataset.escaped_folders or file.is_symlink() or not file.is_file():
            return
        old = f"strokes/{file.name}"
        if old in self.touched:
            return
        if name is None:
            self._step(old, None, "its sketch goes")
            return
        target = f"strokes/{name.stem}.json"
        try:
            document = json.loads(file.read_bytes())
            document["sketch"] = name.stem
        except (ValueError, TypeError, RecursionError):
            # Not strokes of ours: they keep their content.
            self._step(old, target, "its sketch is renamed")
            return
        data = json.dumps(document, separators=(",", ":")).encode()
        self._step(old, target, "its sketch is renamed", data)

    def _step(self, source: str, target: str | None, why: str, data: bytes | None = None) -> None:
        facts = self.images.get(source)
        self.steps.append(Step(source, target, why, data, facts.sha256 if facts else None))
        self.touched |= {source, target}


def _unseen_sketches(
    dataset: Dataset, seen: Iterable[Mapping[str, Entry]]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the split and stem of photos whose sketches have no right name or place, with a path.

    They would be left behind if the photo went.
    """
    known = {sketch.path for by_designer in seen for sketch in by_designer.values()}
    for entry in dataset.entries:
        if not entry.is_image or entry.path in known:
            continue
        name = entry.name
        if name is None:
            meant = naming.suggest(entry.filename, dataset.scheme, entry.side)
            name = None if meant is None else naming.parse(meant, dataset.scheme, entry.side)
        if isinstance(name, SketchName):
            yield (entry.split, name.photo), entry.path
