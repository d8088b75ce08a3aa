"""New photos: their numbers, and those that are there already under another one."""

from __future__ import annotations

from clothes_toolkit.dataset import Dataset, Layout
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import inspect_data, open_data, png_bytes
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.likeness.lookalikes import PHOTOS, lookalikes_of
from clothes_toolkit.naming import Scheme, Side

MOST_BYTES = 30 * 1024 * 1024
LARGEST_NUMBER = 99_999


class TwinError(ToolkitError):
    """A photo that is in the dataset already.

    Attributes:
        twin: the stem of the one that is there.
    """

    def __init__(self, twin: str) -> None:
        super().__init__(f"this garment is there already, as {twin}")
        self.twin = twin


def plan_photo(dataset: Dataset, data: bytes, split: str) -> tuple[str, Plan]:
    """Return the stem of a new photo and the change that adds it, drawn anew as PNG.

    Args:
        dataset: to add to.
        data: bytes of a PNG, JPEG or WebP.
        split: of the photo; says nothing where the dataset is a pool.

    Raises `TwinError` where it looks like one that is there, and `ToolkitError` for no photo or
    where there is no number left.
    """
    if len(data) > MOST_BYTES:
        raise ToolkitError(f"a photo of {len(data) >> 20} MiB; {MOST_BYTES >> 20} are the limit")
    png = png_bytes(open_data(data, "this file"))
    twin = _twin_of(dataset, png)
    if twin is not None:
        raise TwinError(twin)
    stem = _next_stem(dataset)
    if dataset.layout is Layout.SPLIT and split not in dataset.splits:
        raise ToolkitError(f"there is no split '{split}'")
    folder = dataset.layout.folder(split if dataset.layout is Layout.SPLIT else "", Side.PHOTO)
    return stem, Plan("annotate", (Step(None, f"{folder}/{stem}.png", "a new photo", png),))


def _twin_of(dataset: Dataset, png: bytes) -> str | None:
    miniature = inspect_data(png, Side.PHOTO).miniature
    facts = inspect_images(dataset)
    photos = [photo for photo in dataset.photos if facts[photo.path].miniature]
    alike = lookalikes_of(miniature, [facts[photo.path].miniature for photo in photos], PHOTOS)
    return photos[alike[0]].stem if alike else None


def _next_stem(dataset: Dataset) -> str:
    numbers = [int(p.stem) for p in dataset.photos if p.stem.isascii() and p.stem.isdigit()]
    numbers += [int(s.photo) for s in dataset.sketches if s.photo.isascii() and s.photo.isdigit()]
    number = max(numbers, default=0) + 1
    if dataset.scheme is Scheme.CLOTHES and number > LARGEST_NUMBER:
        raise ToolkitError(f"there is no photo number after {LARGEST_NUMBER}")
    return f"{number:05}"
