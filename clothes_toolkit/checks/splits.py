"""Rules that look across the splits."""

from __future__ import annotations

from collections.abc import Iterator

from clothes_toolkit.checks.rule import Fault, Subject
from clothes_toolkit.dataset import Layout
from clothes_toolkit.naming import Side, SketchName

_HINT = "keep the photo and all its sketches on one side of the split"
_NEAR_HINT = "if they are one garment, keep both on one side; `clothes-toolkit split` does"


def split_leak(subject: Subject) -> Iterator[Fault]:
    """Find photos that are in train and in test, by name or by equal pixels."""
    if subject.dataset.layout is not Layout.SPLIT:
        return
    by_name = list(_leaks_by_name(subject))
    yield from by_name
    leaked = {stem for stem, _ in _stems_in_both(subject)}
    yield from _leaks_by_pixels(subject, leaked)


def near_leak(subject: Subject) -> Iterator[Fault]:
    """Find photos in test that look like photos in train."""
    for group in subject.lookalikes:
        in_train = [e.path for e in group if e.split == "train" and e.side is Side.PHOTO]
        for entry in group:
            if in_train and entry.split == "test" and entry.side is Side.PHOTO:
                message = f"looks like {in_train[0]}"
                yield Fault(entry.path, message, _NEAR_HINT, (in_train[0],))
    for pair in subject.mirrored:
        train, test = sorted(pair, key=lambda entry: entry.split == "test")
        if (train.split, test.split) == ("train", "test"):
            message = f"looks like {train.path} in a mirror"
            yield Fault(test.path, message, _NEAR_HINT, (train.path,))


def _stems_in_both(subject: Subject) -> Iterator[tuple[str, bool]]:
    """Return the stems known to both splits, and whether test has the photo itself."""
    known = {
        split: {stem for where, stem in (*subject.photos, *subject.sketches) if where == split}
        for split in subject.dataset.splits
    }
    for stem in sorted(known["train"] & known["test"]):
        yield stem, ("test", stem) in subject.photos


def _leaks_by_name(subject: Subject) -> Iterator[Fault]:
    for stem, test_has_photo in _stems_in_both(subject):
        train_photo = subject.photos.get(("train", stem))
        if test_has_photo and train_photo:
            path = subject.photos["test", stem].path
            yield Fault(path, f"photo {stem} is in train, too", _HINT, (train_photo.path,))
            continue
        # Only one split has the photo, or neither: the sketches beside no photo are the strays.
        split, other = ("train", "test") if test_has_photo else ("test", "train")
        home = subject.photos.get((other, stem)) or subject.sketches[other, stem][0]
        for sketch in subject.sketches.get((split, stem), ()):
            message = f"a sketch of photo {stem}, which is in {other}"
            yield Fault(sketch.path, message, _HINT, (home.path,))


def _leaks_by_pixels(subject: Subject, leaked: set[str]) -> Iterator[Fault]:
    in_train: dict[tuple[Side, str], str] = {}
    in_test = []
    for entry, facts in subject.pictures():
        if entry.path in subject.blank or facts.pixels is None:
            continue
        if entry.split == "train":
            in_train.setdefault((entry.side, facts.pixels), entry.path)
        else:
            in_test.append((entry, facts.pixels))
    for entry, pixels in in_test:
        twin = in_train.get((entry.side, pixels))
        stem = entry.name.photo if isinstance(entry.name, SketchName) else None
        if twin is not None and stem not in leaked:
            yield Fault(entry.path, f"the same pixels as {twin}", _HINT, (twin,))
