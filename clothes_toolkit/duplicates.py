"""Which images of a dataset show the same thing: equal pixels, or one look."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from PIL import Image, ImageOps

from clothes_toolkit.cache import FactsCache
from clothes_toolkit.dataset import Dataset, Entry
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.likeness.miniature import SIDE
from clothes_toolkit.naming import Side, SketchName

_VERSION = 1
"""Of how near duplicates are found; another number forgets what was found before."""


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two images that look the same.

    Attributes:
        first, second: their paths, in order.
        mirrored: whether one is the other's mirror image.
        hashes: 64-bit difference hashes of their miniatures, the second mirrored if it is.
    """

    first: str
    second: str
    mirrored: bool
    hashes: tuple[int, int]


def exact_duplicates(
    dataset: Dataset, images: Mapping[str, ImageFacts], side: Side
) -> list[list[str]]:
    """Return the paths of images of one side with equal pixels; blank sketches are none."""
    found: dict[str, list[str]] = {}
    for entry, facts in _comparable(dataset, images, side):
        found.setdefault(facts.pixels or "", []).append(entry.path)
    return [paths for paths in found.values() if len(paths) > 1]


def near_duplicates(
    dataset: Dataset, images: Mapping[str, ImageFacts], *, across_designers: bool = False
) -> tuple[NearDuplicate, ...]:
    """Return the pairs that join photos which look the same, and sketches by one designer.

    Of images with equal pixels only the first takes part. Not every pair of a group is named, only
    enough to connect it. What was found is kept beside the facts that it was found from.

    Args:
        dataset: the index of the folder.
        images: the facts of its images.
        across_designers: compare sketches of different designers, too.
    """
    groups = _compared(dataset, images, across_designers)
    key = _key(groups, images)
    cache = FactsCache(dataset.root)
    known = cache.recall_found(key)
    if known is not None:
        return tuple(
            NearDuplicate(first, second, mirrored, (one, other))
            for first, second, mirrored, (one, other) in json.loads(known)
        )
    found = tuple(pair for side, paths in groups for pair in _search(side, paths, images))
    cache.remember_found(key, json.dumps([dataclasses.astuple(pair) for pair in found]))
    return found


def _compared(
    dataset: Dataset, images: Mapping[str, ImageFacts], across_designers: bool
) -> list[tuple[Side, list[str]]]:
    """Return the paths that are compared with one another."""
    groups: dict[tuple[Side, str], dict[str, str]] = {}
    for side in (Side.PHOTO, Side.SKETCH):
        for entry, facts in _comparable(dataset, images, side):
            designer = entry.name.designer if isinstance(entry.name, SketchName) else ""
            if side is Side.SKETCH and not (entry.at_home and designer):
                continue
            group = groups.setdefault((side, "" if across_designers else designer), {})
            group.setdefault(facts.pixels or "", entry.path)
    return [(side, list(paths.values())) for (side, _), paths in groups.items()]


def _comparable(
    dataset: Dataset, images: Mapping[str, ImageFacts], side: Side
) -> Iterator[tuple[Entry, ImageFacts]]:
    for entry in dataset.entries:
        facts = images.get(entry.path)
        if entry.side is side and facts is not None and facts.pixels is not None:
            if side is Side.SKETCH and facts.is_blank:
                continue
            yield entry, facts


def _key(groups: list[tuple[Side, list[str]]], images: Mapping[str, ImageFacts]) -> str:
    key = hashlib.sha256(f"{_VERSION}\n".encode())
    for side, paths in groups:
        key.update(f"{side.value}\n".encode())
        for path in paths:
            key.update(f"{images[path].pixels} {path}\n".encode("utf-8", "surrogateescape"))
    return key.hexdigest()


def _search(
    side: Side, paths: list[str], images: Mapping[str, ImageFacts]
) -> Iterator[NearDuplicate]:
    if len(paths) < 2:
        return
    # NumPy takes a tenth of a second to import: only for whoever needs it.
    from clothes_toolkit.likeness.lookalikes import DRAWINGS, PHOTOS, find_lookalikes

    look = PHOTOS if side is Side.PHOTO else DRAWINGS
    miniatures = [images[path].miniature for path in paths]
    plain = functools.cache(lambda place: _difference_hash(miniatures[place]))
    for pair in find_lookalikes(miniatures, look):
        second = (
            _difference_hash(miniatures[pair.second], mirrored=True)
            if pair.mirrored
            else plain(pair.second)
        )
        hashes = (plain(pair.first), second)
        yield NearDuplicate(paths[pair.first], paths[pair.second], pair.mirrored, hashes)


def _difference_hash(miniature: bytes, *, mirrored: bool = False) -> int:
    import imagehash
    import numpy as np

    grey = Image.frombytes("L", (SIDE, SIDE), miniature[: SIDE * SIDE])
    bits = imagehash.dhash(ImageOps.mirror(grey) if mirrored else grey).hash
    return int.from_bytes(np.packbits(bits).tobytes())
