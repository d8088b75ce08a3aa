"""Groups of duplicates, the one to keep of each, and how to make one photo of many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clothes_toolkit.dataset import Dataset, Entry
from clothes_toolkit.duplicates import NearDuplicate, exact_duplicates, near_duplicates
from clothes_toolkit.expectations import read_word_of
from clothes_toolkit.groups import Groups
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.naming import Side

ACCEPTED_AS = ("exact-duplicate", "near-duplicate", "split-leak", "near-leak")
"""The rules under which `clothes.toml` lets a duplicate stay."""
NOUN = {Side.PHOTO: "photo", Side.SKETCH: "sketch"}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An image that is to give way to another.

    Attributes:
        path: relative to the dataset's root.
        distance: bits, 0 to 64, between its difference hash and that of the one to keep.
        accepted: the maintainer's reason for letting it stay, or `None`.
    """

    path: str
    distance: int
    accepted: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Images that show the same.

    Attributes:
        side: photos or sketches.
        exact: whether their pixels are equal; else they only look the same.
        mirrored: whether the duplicates are mirror images of the one to keep.
        keep: the path of the one to keep, and `why`.
        duplicates: the others, by path.
    """

    side: Side
    exact: bool
    mirrored: bool
    keep: str
    why: str
    duplicates: tuple[Duplicate, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the group as JSON values."""
        return {
            "kind": "exact" if self.exact else "near",
            "side": NOUN[self.side],
            "mirrored": self.mirrored,
            "keep": self.keep,
            "why": self.why,
            "duplicates": [
                {"path": d.path, "distance": d.distance, "accepted": d.accepted}
                for d in self.duplicates
            ],
        }


def find_groups(
    dataset: Dataset,
    images: Mapping[str, ImageFacts],
    accepted: Mapping[str, str] | None = None,
    *,
    across_designers: bool = False,
) -> list[Group]:
    """Return the groups of duplicates: exact ones, near ones, mirror images; photos first.

    Args:
        dataset: the index of the folder.
        images: the facts of its images.
        accepted: reasons for letting duplicates stay, by path.
        across_designers: compare sketches of different designers, too.
    """
    near = near_duplicates(dataset, images, across_designers=across_designers)
    finder = _Finder(dataset, images, near, accepted or {})
    return [group for side in (Side.PHOTO, Side.SKETCH) for group in finder.groups(side)]


def accepted_duplicates(dataset: Dataset) -> dict[str, str]:
    """Return the maintainer's reasons for letting duplicates stay, by path."""
    return {
        entry.path: entry.reason
        for entry in read_word_of(dataset).accepted
        if entry.rule in ACCEPTED_AS
    }


class _Finder:
    def __init__(
        self,
        dataset: Dataset,
        images: Mapping[str, ImageFacts],
        near: Sequence[NearDuplicate],
        accepted: Mapping[str, str],
    ) -> None:
        self.dataset, self.images, self.near, self.accepted = dataset, images, near, accepted
        self.entries = {entry.path: entry for entry in dataset.entries}
        self.drawn = sketches_by_photo(dataset)
        self.first: dict[str, str] = {}
        self.hashes: dict[str, int] = {}
        for pair in near:
            if not pair.mirrored:
                self.hashes |= zip((pair.first, pair.second), pair.hashes, strict=True)

    def groups(self, side: Side) -> Iterator[Group]:
        exact = exact_duplicates(self.dataset, self.images, side)
        near = [pair for pair in self.near if self.entries[pair.first].side is side]
        every = Groups[str]((paths[0], path) for paths in exact for path in paths)
        for pair in near:
            if not pair.mirrored:
                every.join(pair.first, pair.second)
        self.first = {path: paths[0] for paths in exact for path in paths}
        best = {path: self._best(paths) for paths in every.together() for path in paths}
        stands: dict[str, str] = {}
        for paths in exact:
            keep = best[paths[0]] if best[paths[0]] in paths else self._best(paths)
            stands |= dict.fromkeys(paths, keep)
            yield self._group(side, paths, keep, exact=True)
        for paths in Groups[str](
            (pair.first, pair.second) for pair in near if not pair.mirrored
        ).together():
            # Of those with equal pixels the one to keep stands for all.
            members = {stands.get(path, path) for path in paths}
            yield self._group(side, sorted(members), best[paths[0]])
        for pair in near:
            if pair.mirrored:
                paths = [pair.first, pair.second]
                yield self._group(side, paths, self._best(paths), distance=_bits(*pair.hashes))

    def _group(
        self,
        side: Side,
        paths: Sequence[str],
        keep: str,
        *,
        exact: bool = False,
        distance: int | None = None,
    ) -> Group:
        others = [path for path in paths if path != keep]
        duplicates = tuple(
            Duplicate(
                path,
                0 if exact else self._distance(keep, path) if distance is None else distance,
                self.accepted.get(path) or self.accepted.get(keep),
            )
            for path in others
        )
        return Group(side, exact, distance is not None, keep, self._why(keep, others), duplicates)

    def _distance(self, one: str, other: str) -> int:
        # Only the first of those with equal pixels was hashed.
        return _bits(*(self.hashes[self.first.get(path, path)] for path in (one, other)))

    def _best(self, paths: Sequence[str]) -> str:
        return min(paths, key=lambda path: (*self._merits(path), path))

    def _merits(self, path: str) -> tuple[int, ...]:
        """Return what speaks for an image, less is better: name, pixels, sketches, bytes."""
        entry, facts = self.entries[path], self.images[path]
        sketches = len(self.drawn.get((entry.split, stem_of(entry)), ()))
        return (not entry.at_home, -facts.width * facts.height, -sketches, -facts.size)

    def _why(self, keep: str, others: Sequence[str]) -> str:
        facts = self.images[keep]
        reasons = (
            "the only one with a right name",
            f"the largest, {facts.width}×{facts.height} pixels",
            "the one with most sketches",
            "the least compressed",
        )
        mine = self._merits(keep)
        rival = min(self._merits(path) for path in others)
        for reason, one, other in zip(reasons, mine, rival, strict=True):
            if one != other:
                return reason
        return "the first by name"


def sketches_by_photo(dataset: Dataset) -> dict[tuple[str, str], dict[str, Entry]]:
    """Return the sketches of each photo, by split and the photo's stem, then by designer."""
    entries = {entry.path: entry for entry in dataset.entries}
    found: dict[tuple[str, str], dict[str, Entry]] = {}
    for sketch in dataset.sketches:
        by_designer = found.setdefault((sketch.split, sketch.photo), {})
        by_designer[sketch.designer] = entries[sketch.path]
    return found


def stem_of(entry: Entry) -> str:
    """Return an entry's stem; empty where the scheme does not allow its name."""
    return "" if entry.name is None else entry.name.stem


def _bits(one: int, other: int) -> int:
    return (one ^ other).bit_count()
