"""Counts of a dataset: photos, sketches, designers, splits, and who drew how much."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clothes_toolkit.dataset import Counts, Dataset
from clothes_toolkit.inspection import Progress, inspect_images


@dataclass(frozen=True, slots=True)
class Stats:
    """What a dataset holds.

    Attributes:
        root: the dataset's folder as it was named.
        scheme: "clothes" or "open"; `scheme_chosen` is false where it was guessed.
        counts: photos, sketches, pairs, by designer and by split.
        coverage: share of the photos that a designer drew, by designer, 0 to 1.
        sketches_per_photo: how many photos have how many sketches.
        sizes: how many images have which width and height, most frequent first.
        drawn_by: the designers who drew each photo, by the photo's path.
        ink: the share of the paper that is ink, 0 to 1, of each sketch, by designer, ascending.
    """

    root: str
    scheme: str
    scheme_chosen: bool
    counts: Counts
    coverage: dict[str, float]
    sketches_per_photo: dict[int, int]
    sizes: dict[tuple[int, int], int]
    drawn_by: dict[str, tuple[str, ...]]
    ink: dict[str, tuple[float, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON values, schema `clothes-toolkit/stats/1`."""
        return {
            "schema": "clothes-toolkit/stats/1",
            "root": self.root,
            "scheme": self.scheme,
            "counts": self.counts.to_json(),
            "coverage": {designer: round(share, 4) for designer, share in self.coverage.items()},
            "sketches_per_photo": {str(n): photos for n, photos in self.sketches_per_photo.items()},
            "sizes": [
                {"width": width, "height": height, "images": images}
                for (width, height), images in self.sizes.items()
            ],
            "drawn_by": {path: list(designers) for path, designers in self.drawn_by.items()},
            "ink": {
                designer: {
                    "least": round(shares[0], 6),
                    "median": round(statistics.median(shares), 6),
                    "most": round(shares[-1], 6),
                }
                for designer, shares in self.ink.items()
            },
        }


def histogram(values: Iterable[float], bins: int, top: float) -> list[int]:
    """Return how many values, 0 to `top`, are in each of so many equal ranges."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(bins * value / (top or 1)))] += 1
    return counts


def stats(
    dataset: Dataset, jobs: int = 1, on_progress: Progress = lambda _done, _total: None
) -> Stats:
    """Count what a dataset holds; images are looked at for their sizes and their ink."""
    counts = dataset.counts()
    drawn = Counter((pair.photo.split, pair.photo.stem) for pair in dataset.pairs)
    per_photo = Counter(drawn[photo.split, photo.stem] for photo in dataset.photos)
    by_designer = Counter(pair.sketch.designer for pair in dataset.pairs)
    images = inspect_images(dataset, jobs, on_progress)
    members = {p.path for p in dataset.photos} | {s.path for s in dataset.sketches}
    sizes = Counter(
        (facts.width, facts.height)
        for path, facts in images.items()
        if path in members and facts.width
    )
    drawn_by: dict[str, list[str]] = {photo.path: [] for photo in dataset.photos}
    for pair in dataset.pairs:
        drawn_by[pair.photo.path].append(pair.sketch.designer)
    ink: dict[str, list[float]] = {}
    for sketch in dataset.sketches:
        facts = images.get(sketch.path)
        if facts is not None and facts.pixels is not None:
            ink.setdefault(sketch.designer, []).append(facts.ink)
    return Stats(
        str(dataset.root),
        dataset.scheme.value,
        dataset.chosen,
        counts,
        {d: by_designer[d] / max(1, counts.photos) for d in counts.designers},
        dict(sorted(per_photo.items())),
        dict(sizes.most_common()),
        {path: tuple(sorted(designers)) for path, designers in drawn_by.items()},
        {designer: tuple(sorted(shares)) for designer, shares in sorted(ink.items())},
    )
