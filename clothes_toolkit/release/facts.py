"""What a card tells that nobody need write by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clothes_toolkit import __version__
from clothes_toolkit.dataset import Counts, Dataset
from clothes_toolkit.expectations import CLOTHES_V1, Expectation
from clothes_toolkit.naming import Scheme
from clothes_toolkit.release.baselines import Baseline
from clothes_toolkit.release.manifest import Manifest
from clothes_toolkit.release.shards import CONFIGS, SPLITS, lay_out
from clothes_toolkit.report import Report
from clothes_toolkit.split import Split, split_of


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a split of a config holds: rows, and bytes in them."""

    config: str
    split: str
    rows: int
    size: int


@dataclass(frozen=True)
class ReleaseFacts:
    """What is known of one release, and not of the dataset as such.

    Attributes:
        manifest: its files.
        report: what `validate` said.
        split: what its `split.json` says, or `None`.
        source: ORG/NAME on the Hub, or `None`.
        baselines: results that were measured on it.
    """

    manifest: Manifest
    report: Report
    split: Split | None = None
    source: str | None = None
    baselines: tuple[Baseline, ...] = ()

    @property
    def version(self) -> str | None:
        """X.Y.Z, or `None` for a folder that is not released."""
        return self.manifest.version

    @property
    def split_is_whole(self) -> bool:
        """Whether `split.json` has exactly the photos that are there."""
        photos = {(r.split, r.photo) for r in self.manifest.files if r.is_photo}
        split = self.split
        return split is not None and photos == {
            *(("train", stem) for stem in split.train),
            *(("test", stem) for stem in split.test),
        }


@dataclass(frozen=True)
class CardFacts:
    """What a card is rendered from.

    Attributes:
        name: what people call the dataset.
        counts: as `Counts.to_json` gives them.
        scheme: how files are named.
        is_clothes_v1: whether this is the published dataset, of which more is known.
        contents: what the configs hold; empty for a dataset that is not at hand.
        has_strokes: whether sketches have strokes.
        release: `None` for a dataset that is not at hand.
    """

    name: str
    counts: Mapping[str, Any]
    scheme: Scheme
    is_clothes_v1: bool = False
    contents: tuple[Contents, ...] = ()
    has_strokes: bool = False
    release: ReleaseFacts | None = None
    toolkit: str = field(default=__version__)


def facts_of(
    dataset: Dataset,
    name: str,
    manifest: Manifest,
    report: Report,
    *,
    source: str | None = None,
    baselines: tuple[Baseline, ...] = (),
) -> CardFacts:
    """Return the facts of a dataset; raises `ToolkitError` for a `split.json` that is none."""
    stored = lay_out(manifest)
    contents = tuple(
        Contents(config, split, len(rows), sum(row.size for row in rows))
        for config in CONFIGS
        for split in SPLITS
        for rows in [stored.rows(config, split)]
    )
    counts = manifest.counts
    return CardFacts(
        name,
        counts,
        dataset.scheme,
        dataset.scheme is Scheme.CLOTHES and _are_those_of(counts, CLOTHES_V1),
        contents,
        stored.has_strokes,
        ReleaseFacts(manifest, report, split_of(dataset), source, baselines),
    )


def clothes_v1_facts() -> CardFacts:
    """Return what is public of Clothes-V1."""
    expect = CLOTHES_V1
    designers = dict.fromkeys(expect.designers or (), 0)
    splits = {
        name: (photos or 0, sketches or 0) for name, (photos, sketches) in expect.splits.items()
    }
    photos, sketches = expect.photos or 0, expect.sketches or 0
    counts = Counts(photos, sketches, sketches, designers, splits)
    return CardFacts("Clothes-V1", counts.to_json(), Scheme.CLOTHES, is_clothes_v1=True)


def _are_those_of(counts: Mapping[str, Any], expect: Expectation) -> bool:
    splits = {name: (told["photos"], told["sketches"]) for name, told in counts["splits"].items()}
    return splits == dict(expect.splits) and counts["photos"] == expect.photos
