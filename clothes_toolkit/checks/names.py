"""Rules that look at names and at what lies in the folders."""

from __future__ import annotations

from collections.abc import Iterator

from clothes_toolkit import naming
from clothes_toolkit.checks.rule import Fault, Subject
from clothes_toolkit.dataset import Entry, Kind
from clothes_toolkit.naming import PhotoName, Scheme, Side


def unexpected_file(subject: Subject) -> Iterator[Fault]:
    """Find what is neither a photo nor a sketch."""
    layout = subject.dataset.layout.value
    for path in subject.dataset.strays:
        if naming.is_image_name(path):
            yield Fault(path, "an image outside the dataset's folders", "move it into its folder")
        else:
            yield Fault(path, f"a folder of another layout beside a {layout} layout", "remove it")
    for entry in subject.dataset.entries:
        if entry.kind is Kind.ESCAPE or entry.is_image:
            continue
        what = {Kind.FOLDER: "a folder", Kind.OTHER: "neither a file nor a folder"}
        yield Fault(entry.path, f"{what.get(entry.kind, 'not an image')}: no part of the dataset")


def symlink_escape(subject: Subject) -> Iterator[Fault]:
    """Find links that lead out of the dataset."""
    escapes = [entry.path for entry in subject.dataset.entries if entry.kind is Kind.ESCAPE]
    for path in (*subject.dataset.escaped_folders, *escapes):
        yield Fault(
            path, "a link that leads out of the dataset", "replace it with a copy of what it names"
        )


def name_format(subject: Subject) -> Iterator[Fault]:
    """Find image files whose name the scheme does not allow."""
    scheme = subject.dataset.scheme
    taken = {entry.path for entry in subject.dataset.entries}
    for entry in _misnamed(subject):
        if naming.differs_in_case_only(entry.filename, scheme, entry.side):
            continue
        yield Fault(
            entry.path, f"not a name {_allowed(scheme, entry.side)}", _hint(entry, scheme, taken)
        )


def name_case(subject: Subject) -> Iterator[Fault]:
    """Find image files whose name is right but for letter case."""
    scheme = subject.dataset.scheme
    taken = {entry.path for entry in subject.dataset.entries}
    for entry in _misnamed(subject):
        if naming.differs_in_case_only(entry.filename, scheme, entry.side):
            yield Fault(entry.path, "the extension must be lower case", _hint(entry, scheme, taken))


def name_collision(subject: Subject) -> Iterator[Fault]:
    """Find files that are one on a case-insensitive disk, and stems with two extensions."""
    first: dict[tuple[str, str], str] = {}
    images = (entry for entry in subject.dataset.entries if entry.is_image)
    for entry in sorted(images, key=lambda entry: (entry.name is None, entry.path)):
        folder = entry.path.rpartition("/")[0]
        stem = naming.folded(naming.split_extension(entry.filename)[0])
        other = first.setdefault((folder, stem), entry.path)
        if other == entry.path:
            continue
        same = naming.folded(other) == naming.folded(entry.path)
        yield Fault(
            entry.path,
            f"one file with {other} on a case-insensitive disk"
            if same
            else f"the same stem as {other}",
            "keep one of them, or rename one",
            (other,),
        )


def wrong_side(subject: Subject) -> Iterator[Fault]:
    """Find sketches among the photos and photos among the sketches."""
    for entry in subject.dataset.entries:
        if entry.name is None or entry.at_home:
            continue
        what, here = (
            ("photo", "sketches") if isinstance(entry.name, PhotoName) else ("sketch", "photos")
        )
        home = subject.dataset.layout.folder(entry.split, naming.belongs_on(entry.name))
        yield Fault(entry.path, f"a {what} by its name, among the {here}", f"move it to {home}")


def _misnamed(subject: Subject) -> Iterator[Entry]:
    return (entry for entry in subject.dataset.entries if entry.is_image and entry.name is None)


def _allowed(scheme: Scheme, side: Side) -> str:
    if scheme is Scheme.CLOTHES:
        return "like 00003_01.png" if side is Side.SKETCH else "like 00003.png"
    return "like STEM_01.png" if side is Side.SKETCH else "of letters, digits, '.', '_' and '-'"


def _hint(entry: Entry, scheme: Scheme, taken: set[str]) -> str | None:
    meant = naming.suggest(entry.filename, scheme, entry.side)
    if meant is None:
        return None
    folder = entry.path.rpartition("/")[0]
    there = ", which is there already" if f"{folder}/{meant}" in taken else ""
    return f"probably {meant}{there}"
