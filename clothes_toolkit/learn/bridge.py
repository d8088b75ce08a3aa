"""From a dataset to what the network takes, and from its errors to ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from PIL import Image

from clothes_toolkit.checks.rule import Subject
from clothes_toolkit.checks.splits import split_leak
from clothes_toolkit.dataset import Dataset, Layout
from clothes_toolkit.errors import MissingExtraError, ToolkitError
from clothes_toolkit.images import open_image

if TYPE_CHECKING:
    from arnet.data import PairImages, Pairs
    from arnet.methods.base import Method
    from arnet.recipes import Recipe

HELD_OUT_SHARE = 0.15
"""Share of the train photos that protocol `validation` holds out."""


def network(what: str) -> ModuleType:
    """Import `arnet`; raises `MissingExtraError`, naming `what` needs it, where that fails."""
    try:
        import arnet
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in (
            "torch",
            "timm",
            "huggingface_hub",
            "torchvision",
            "safetensors",
            "numpy",
        ):
            raise MissingExtraError(what, "learn") from error
        raise
    return arnet


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what `arnet` refuses into a `ToolkitError`."""
    from arnet.errors import ArnetError

    try:
        yield
    except ArnetError as error:
        raise ToolkitError(str(error)) from error


def pairs_of(dataset: Dataset, split: str) -> Pairs:
    """Return the sketches of a split that have their photo, and all photos of the split."""
    from arnet.data import Pairs

    photos = [photo for photo in dataset.photos if photo.split == split]
    index = {photo.stem: number for number, photo in enumerate(photos)}
    pairs = [pair for pair in dataset.pairs if pair.photo.split == split]
    return Pairs(
        tuple(dataset.root / pair.sketch.path for pair in pairs),
        tuple(dataset.root / photo.path for photo in photos),
        tuple(index[pair.photo.stem] for pair in pairs),
    )


def open_picture(path: Path) -> Image.Image:
    """Open an image through the toolkit's door, with the errors that the network expects."""
    try:
        return open_image(path)
    except ToolkitError as error:
        raise ValueError(str(error)) from error


def load_images_for(
    method: Method, pairs: Pairs, on_image: Callable[[], None] = lambda: None
) -> PairImages:
    """Decode the pixels of pairs through the toolkit's door, at the size that a method takes."""
    from arnet.data import load_pairs

    return load_pairs(pairs, method.size, open_picture, on_image, method.resample, method.fits_ink)


def fits_ink(recipe: Recipe, train: Pairs) -> bool:
    """Whether a recipe frames pictures by what they show, asking the train pairs if it is open."""
    from arnet.layout import should_fit_ink

    if recipe.fit_ink == "auto":
        return should_fit_ink(train, open_picture)
    return recipe.fit_ink == "true"


def require_train_and_test(dataset: Dataset) -> None:
    """Raise `ToolkitError` unless a dataset can be trained on and tested honestly."""
    if dataset.layout is not Layout.SPLIT:
        raise ToolkitError(
            f"{dataset.root}: a pool without a split; a baseline needs train and test"
        )
    for split in dataset.splits:
        if not any(pair.photo.split == split for pair in dataset.pairs):
            raise ToolkitError(
                f"{dataset.root}: there are no pairs in {split}; a baseline needs pairs in "
                "trainA, trainB and in testA, testB"
            )
    leak = next(iter(split_leak(Subject(dataset))), None)
    if leak is not None:
        raise ToolkitError(
            f"{leak.path}: {leak.message}; a number measured on a leaking split says nothing, "
            "see clothes-toolkit validate"
        )


def hold_out(images: PairImages, seed: int) -> tuple[PairImages, PairImages]:
    """Split train pairs by photo into pairs to train on and pairs to choose the epoch with.

    Raises `ToolkitError` where there are too few photos to hold any out.
    """
    count = len(images.photos)
    parts = images.hold_out(round(HELD_OUT_SHARE * count), seed)
    if not all(len(part) for part in parts):
        raise ToolkitError(
            f"{count} train photos are too few for --protocol validation; use --protocol fixed"
        )
    return parts
