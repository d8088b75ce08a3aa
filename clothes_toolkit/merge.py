"""One photo of each group of photos, with the sketches of all: what would change, what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clothes_toolkit import naming
from clothes_toolkit.dataset import Dataset, Entry
from clothes_toolkit.dedup import Group, sketches_by_photo, stem_of
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.naming import PhotoName, Side, SketchName
from clothes_toolkit.split import without_photos


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
        self.sketches = sketches_by_photo(dataset)
        self.steps: list[Step] = []
        self.conflicts: list[Conflict] = []
        self.merged: set[str] = set()

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
        self.merged.add(old)

    def update_split_file(self) -> None:
        """Take merged photos out of `split.json`."""
        data = without_photos(self.dataset, self.merged)
        if data is not None:
            self.steps.append(Step("split.json", "split.json", "photos were merged", data))

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
        return None

    def _take_over(self, sketch: Entry, designer: str, stem: str, theirs: dict[str, Entry]) -> bool:
        """Give a sketch to the photo `stem`, unless the designer drew that, too."""
        rival = theirs.get(designer)
        if rival is not None:
            if self.images[rival.path].pixels != self.images[sketch.path].pixels:
                message = f"designer {designer} drew both photos: {rival.path} is there already"
                self.conflicts.append(Conflict(sketch.path, message))
                return False
            self._step(sketch.path, None, f"the same drawing as {rival.path}")
            self._move_strokes(sketch, None)
            return True
        folder, _, filename = sketch.path.rpartition("/")
        name = SketchName(stem, designer)
        target = f"{folder}/{naming.filename(name, naming.split_extension(filename)[1])}"
        if target in self.entries:
            self.conflicts.append(Conflict(sketch.path, f"{target} is there already"))
            return False
        self._step(sketch.path, target, f"draws {stem}")
        self._move_strokes(sketch, name)
        theirs[designer] = sketch
        return True

    def _move_strokes(self, sketch: Entry, name: SketchName | None) -> None:
        """Let a sketch's strokes follow it."""
        old = f"strokes/{stem_of(sketch)}.json"
        file = self.dataset.root / old
        if "strokes" in self.dataset.escaped_folders or not file.is_file():
            return
        if name is None:
            self._step(old, None, "its sketch goes")
            return
        try:
            document = json.loads(file.read_bytes())
            document["sketch"] = name.stem
        except (ValueError, TypeError):
            # Not strokes of ours: they keep their content.
            self._step(old, f"strokes/{name.stem}.json", "its sketch is renamed")
            return
        data = json.dumps(document, separators=(",", ":")).encode()
        target = f"strokes/{name.stem}.json"
        self.steps.append(Step(old, target, "its sketch is renamed", data))

    def _step(self, source: str, target: str | None, why: str) -> None:
        facts = self.images.get(source)
        self.steps.append(Step(source, target, why, sha256=facts.sha256 if facts else None))
