"""Where a sketch lies in the dataset, and the change that puts it there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from annotation_ui.records import Submission
from clothes_toolkit.dataset import Dataset, Photo
from clothes_toolkit.edits.files import file_sha256
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.naming import Scheme, Side, SketchName

FIRST_OF_CLOTHES, LAST_OF_CLOTHES = "01", "09"


def plan_sketch(dataset: Dataset, found: Submission, accepted: Collection[bytes]) -> Plan:
    """Return the change that puts a sketch and its strokes into the dataset.

    Args:
        dataset: as it is now.
        found: the sketch.
        accepted: the pictures of its earlier versions that were put there.

    Raises `ToolkitError` where the sketch that is there is none of those, nor the one that was
    there when this one was handed in.
    """
    name = SketchName(found.photo, found.designer)
    path, old = place_of(dataset, name), file_of(dataset, name)
    there = None if old is None else sha256_at(dataset.root, old)
    if there is not None and there not in {found.base, *map(sha256_of, accepted)}:
        raise ToolkitError(
            f"{path}: was changed by somebody else since the sketch was handed in; "
            "return it, or put the file right first"
        )
    why = f"submission {found.id}, version {found.version}"
    steps = [Step(None if there is None else old, path, why, found.picture, there)]
    strokes = f"strokes/{name.stem}.json"
    drawn = sha256_at(dataset.root, strokes)
    if found.strokes is not None:
        source = None if drawn is None else strokes
        steps.append(Step(source, strokes, why, found.strokes, drawn))
    elif drawn is not None:
        steps.append(Step(strokes, None, "the strokes of an earlier version"))
    return Plan("annotate", tuple(steps))


def photo_of(dataset: Dataset, stem: str) -> Photo:
    """Return a photo by its stem; raises `ToolkitError` where there is none."""
    for photo in dataset.photos:
        if photo.stem == stem:
            return photo
    raise ToolkitError(f"{stem!r}: there is no such photo")


def place_of(dataset: Dataset, name: SketchName) -> str:
    """Return the path of a sketch, beside its photo's split; raises `ToolkitError`."""
    if (
        dataset.scheme is Scheme.CLOTHES
        and not FIRST_OF_CLOTHES <= name.designer <= LAST_OF_CLOTHES
    ):
        raise ToolkitError(
            f"designer {name.designer}: a dataset named as Clothes-V1 has designers 01 to 09"
        )
    photo = photo_of(dataset, name.photo)
    return f"{dataset.layout.folder(photo.split, Side.SKETCH)}/{name.stem}.png"


def file_of(dataset: Dataset, name: SketchName) -> str | None:
    """Return the path of the sketch that is there, whatever its extension."""
    split = photo_of(dataset, name.photo).split
    for sketch in dataset.sketches:
        if (sketch.split, sketch.photo, sketch.designer) == (split, name.photo, name.designer):
            return sketch.path
    return None


def sha256_at(root: Path, path: str) -> str | None:
    """Return the hash of a file of the dataset; `None` where there is none."""
    try:
        return file_sha256(root / path)
    except FileNotFoundError:
        return None


def sha256_of(data: bytes) -> str:
    """Return the hash of some bytes."""
    return hashlib.sha256(data).hexdigest()
