"""Rules that look at which sketch belongs to which photo, and at the counts."""

from __future__ import annotations

from collections.abc import Iterator

from clothes_toolkit.checks.rule import Fault, Subject
from clothes_toolkit.naming import Side

_NOUN = {Side.SKETCH: "sketches", Side.PHOTO: "photos"}


def missing_folder(subject: Subject) -> Iterator[Fault]:
    """Find sides of the layout that are not there."""
    layout = subject.dataset.layout
    for split in layout.splits:
        for side in Side:
            folder = layout.folder(split, side)
            if folder in subject.dataset.missing_folders:
                yield Fault(
                    folder,
                    f"the folder of the {_NOUN[side]} of {split} is missing",
                    f"make {folder} and put the {_NOUN[side]} there",
                )


def empty_split(subject: Subject) -> Iterator[Fault]:
    """Find splits without photos or without sketches."""
    dataset = subject.dataset
    gone = {*dataset.missing_folders, *dataset.escaped_folders}
    for split in dataset.splits:
        for side in Side:
            folder = dataset.layout.folder(split, side)
            if folder not in gone and subject.is_empty(split, side):
                yield Fault(folder, f"there are no {_NOUN[side]} in {split}")


def orphan_sketch(subject: Subject) -> Iterator[Fault]:
    """Find sketches whose photo is not in their split."""
    without_photos = {s for s in subject.dataset.splits if subject.is_empty(s, Side.PHOTO)}
    for sketch in subject.dataset.sketches:
        if (sketch.split, sketch.photo) in subject.photos or sketch.split in without_photos:
            continue
        folder = subject.dataset.layout.folder(sketch.split, Side.PHOTO)
        elsewhere = tuple(
            photo.path for photo in subject.dataset.photos if photo.stem == sketch.photo
        )
        yield Fault(
            sketch.path,
            f"its photo {sketch.photo} is not in {folder}",
            f"its photo is {elsewhere[0]}" if elsewhere else "add the photo, or remove the sketch",
            elsewhere,
        )


def photo_without_sketch(subject: Subject) -> Iterator[Fault]:
    """Find photos that nobody drew."""
    without_sketches = {s for s in subject.dataset.splits if subject.is_empty(s, Side.SKETCH)}
    for photo in subject.dataset.photos:
        drawn = (photo.split, photo.stem) in subject.sketches
        if not drawn and photo.split not in without_sketches:
            yield Fault(photo.path, "nobody drew this photo")


def unknown_designer(subject: Subject) -> Iterator[Fault]:
    """Find sketches by designers who are not expected."""
    known = subject.expect.designers
    if known is None:
        return
    for sketch in subject.dataset.sketches:
        if sketch.designer not in known:
            yield Fault(
                sketch.path,
                f"designer {sketch.designer} is not expected",
                f"the designers are {', '.join(known)}",
            )


def count_mismatch(subject: Subject) -> Iterator[Fault]:
    """Find counts that differ from what is expected, each difference once."""
    counts, expect, layout = subject.dataset.counts(), subject.expect, subject.dataset.layout
    explained = {Side.PHOTO: 0, Side.SKETCH: 0}
    for split, wanted in expect.splits.items():
        if split not in layout.splits:
            continue
        found = counts.splits.get(split, (0, 0))
        for side, want, have in zip((Side.PHOTO, Side.SKETCH), wanted, found, strict=True):
            if want is not None and want != have:
                explained[side] += have - want
                yield Fault(layout.folder(split, side), _differs(want, have, side))
    texts = [
        _differs(want, have, side)
        for side, want, have in (
            (Side.PHOTO, expect.photos, counts.photos),
            (Side.SKETCH, expect.sketches, counts.sketches),
        )
        if want is not None and have - want != explained[side]
    ]
    absent = [d for d in expect.designers or () if d not in counts.designers]
    if absent:
        texts.append(f"no sketch by designer {', '.join(absent)}")
    if texts:
        yield Fault(".", "; ".join(texts))


def _differs(want: int, have: int, side: Side) -> str:
    return f"{want} {_NOUN[side]} expected, {have} found"
