"""From a dataset's folder to a package: looked at, found fit for release, with its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.inspection import Progress, inspect_images
from clothes_toolkit.release.admission import admit
from clothes_toolkit.release.baselines import read_baselines
from clothes_toolkit.release.card import CARD_FILE, read_card, render_card
from clothes_toolkit.release.facts import facts_of
from clothes_toolkit.release.manifest import Manifest, make_manifest
from clothes_toolkit.release.package import README, Package
from clothes_toolkit.release.places import Place, State
from clothes_toolkit.release.version import Version
from clothes_toolkit.report import Report
from clothes_toolkit.validate import validate


@dataclass(frozen=True)
class Examined:
    """A dataset, and what one look at all its files told.

    Attributes:
        dataset: the index of its folder.
        images: the facts of its images.
        report: of all rules.
        manifest: of its content.
    """

    dataset: Dataset
    images: Mapping[str, ImageFacts]
    report: Report
    manifest: Manifest


def examine(
    dataset: Dataset,
    version: Version | None = None,
    jobs: int = 1,
    on_progress: Progress = lambda _done, _total: None,
) -> Examined:
    """Look at all files of a dataset; raises `ToolkitError` where one cannot be read."""
    images = inspect_images(dataset, jobs, on_progress)
    report = validate(dataset, images=images)
    manifest = make_manifest(dataset, images, str(version) if version else None)
    return Examined(dataset, images, report, manifest)


def assemble(
    found: Examined,
    place: Place,
    state: State,
    version: Version,
    baselines: Path | None = None,
) -> Package:
    """Return the package of a dataset for a place in a state.

    Raises `RefusedError` where the dataset is not fit for release or a baseline is of another one,
    `ToolkitError` where the card or a baseline cannot be read.
    """
    admit(found.dataset, found.report, found.manifest)
    measured = read_baselines(baselines, found.manifest) if baselines else ()
    facts = facts_of(
        found.dataset,
        name_for(found.dataset, place),
        found.manifest,
        found.report,
        source=place.source,
        baselines=measured,
    )
    beside = found.dataset.root / CARD_FILE
    own = read_card(beside)
    if own is not None:
        card = render_card(facts, own, str(beside))
    else:
        card = render_card(facts, state.card, f"{place.name}: {README}")
    return Package(found.dataset.root, version, found.manifest, card, measured)


def name_for(dataset: Dataset, place: Place | None = None) -> str:
    """Return what people call a dataset: the repository's name, or the folder's."""
    if place is not None and place.source:
        return place.source.rpartition("/")[2]
    return dataset.root.resolve().name
