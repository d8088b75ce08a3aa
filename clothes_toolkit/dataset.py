"""A dataset: a read-only index of the photos and sketches in a folder. Opens no image."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from clothes_toolkit import naming
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.naming import Name, PhotoName, Scheme, Side, SketchName

RELEASE_FILES = ("strokes", "split.json", "clothes.toml")
"""What belongs to a release beside the images."""

POOL = "pool"


class Layout(StrEnum):
    """How a dataset's folders are laid out."""

    SPLIT = "split"
    POOL = "pool"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits' names; a pool is one, and not yet split."""
        return ("train", "test") if self is Layout.SPLIT else (POOL,)

    def folder(self, split: str, side: Side) -> str:
        """Return the folder of one side of one split."""
        return side.value if self is Layout.POOL else f"{split}{side.value}"

    @property
    def folders(self) -> tuple[str, ...]:
        """Every folder of the layout."""
        return tuple(self.folder(split, side) for split in self.splits for side in Side)


class Kind(StrEnum):
    """What a directory entry is."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    ESCAPE = "escape"
    DANGLING = "dangling"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something inside one of the layout's folders.

    Attributes:
        path: relative to the dataset's root, with `/`.
        kind: what it is, links followed unless they lead out of the dataset.
        name: its parsed file name, where the scheme allows it.
    """

    path: str
    split: str
    side: Side
    kind: Kind
    name: Name | None

    @property
    def filename(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_image(self) -> bool:
        """Whether this is an image file by its name: hidden files are none."""
        return (
            self.kind in (Kind.FILE, Kind.DANGLING, Kind.ESCAPE)
            and not self.filename.startswith(".")
            and naming.is_image_name(self.filename)
        )

    @property
    def is_readable(self) -> bool:
        """Whether this is an image file that may be opened."""
        return self.is_image and self.kind is not Kind.ESCAPE

    @property
    def at_home(self) -> bool:
        """Whether the name is allowed, and on the side where it belongs."""
        return self.name is not None and naming.belongs_on(self.name) is self.side


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of a garment."""

    path: str
    split: str
    stem: str


@dataclass(frozen=True, slots=True)
class Sketch:
    """A drawing of one photo by one designer."""

    path: str
    split: str
    photo: str
    designer: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A sketch and its photo."""

    sketch: Sketch
    photo: Photo


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of what a dataset holds."""

    photos: int
    sketches: int
    pairs: int
    designers: dict[str, int]
    splits: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Photos and sketches by split; empty for a pool."""

    def to_json(self) -> dict[str, object]:
        """Return the counts as JSON values."""
        return {
            "photos": self.photos,
            "sketches": self.sketches,
            "pairs": self.pairs,
            "designers": self.designers,
            "splits": {
                split: {"photos": photos, "sketches": sketches}
                for split, (photos, sketches) in self.splits.items()
            },
        }


@dataclass(frozen=True)
class Dataset:
    """The index of a dataset's folder, read once.

    Attributes:
        root: the folder.
        entries: everything inside the layout's folders, sorted by path.
        missing_folders: folders of the layout that are not there.
        escaped_folders: folders, or release files, that are links out of the dataset.
        strays: images at the root and folders of the other layout.
        chosen: whether the scheme was named rather than guessed.
    """

    root: Path
    layout: Layout
    scheme: Scheme
    entries: tuple[Entry, ...]
    missing_folders: tuple[str, ...] = ()
    escaped_folders: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    chosen: bool = False

    @classmethod
    def open(cls, root: Path, scheme: str = "auto") -> Dataset:
        """Index a folder.

        Raises `ToolkitError` where there is no folder, it cannot be read, or it is not a dataset.
        """
        if not root.exists():
            raise ToolkitError(f"{root}: no such folder")
        if not root.is_dir():
            raise ToolkitError(
                f"{root}: not a folder; name the folder that holds trainA, trainB, …"
            )
        try:
            return _index(root, scheme)
        except OSError as error:
            where = error.filename or root
            raise ToolkitError(f"{where}: cannot be read ({error.strerror})") from error

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the layout's splits."""
        return self.layout.splits

    @cached_property
    def photos(self) -> tuple[Photo, ...]:
        """Every photo with a right name on its side; one a stem and split."""
        found: dict[tuple[str, str], Photo] = {}
        for entry in self.entries:
            if entry.at_home and isinstance(entry.name, PhotoName):
                photo = Photo(entry.path, entry.split, entry.name.stem)
                found.setdefault((photo.split, photo.stem), photo)
        return tuple(found.values())

    @cached_property
    def sketches(self) -> tuple[Sketch, ...]:
        """Every sketch with a right name on its side; one a photo, designer and split."""
        found: dict[tuple[str, str, str], Sketch] = {}
        for entry in self.entries:
            if entry.at_home and isinstance(entry.name, SketchName):
                sketch = Sketch(entry.path, entry.split, entry.name.photo, entry.name.designer)
                found.setdefault((sketch.split, sketch.photo, sketch.designer), sketch)
        return tuple(found.values())

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every sketch whose photo is in its split."""
        photos = {(photo.split, photo.stem): photo for photo in self.photos}
        return tuple(
            Pair(sketch, photos[sketch.split, sketch.photo])
            for sketch in self.sketches
            if (sketch.split, sketch.photo) in photos
        )

    def counts(self) -> Counts:
        """Count photos, sketches, pairs and designers, in all and by split."""
        photos = Counter(photo.split for photo in self.photos)
        sketches = Counter(sketch.split for sketch in self.sketches)
        designers = Counter(sketch.designer for sketch in self.sketches)
        splits = {
            split: (photos[split], sketches[split])
            for split in self.splits
            if self.layout is Layout.SPLIT and not self._lacks(split)
        }
        return Counts(
            len(self.photos),
            len(self.sketches),
            len(self.pairs),
            dict(sorted(designers.items())),
            splits,
        )

    def _lacks(self, split: str) -> bool:
        """Whether neither side of a split is there."""
        return all(self.layout.folder(split, side) in self.missing_folders for side in Side)


def _index(root: Path, scheme: str) -> Dataset:
    present = {item.name: item for item in os.scandir(root)}
    layout = _recognize(root, present)
    folders = [f for f in layout.folders if f in present and _is_folder(present[f])]
    escaped = [name for name in (*folders, *RELEASE_FILES) if _leads_out(root, root / name)]
    listing = {
        folder: sorted(os.scandir(root / folder), key=lambda item: item.name)
        for folder in folders
        if folder not in escaped
    }
    names = (item.name for items in listing.values() for item in items)
    chosen = (
        naming.guess_scheme(name for name in names if not name.startswith("."))
        if scheme == "auto"
        else Scheme(scheme)
    )
    entries = [
        _entry(root, item, folder, split, side, chosen)
        for split in layout.splits
        for side in Side
        if (folder := layout.folder(split, side)) in listing
        for item in listing[folder]
    ]
    return Dataset(
        root,
        layout,
        chosen,
        tuple(sorted(entries, key=lambda entry: entry.path)),
        tuple(folder for folder in layout.folders if folder not in folders),
        tuple(escaped),
        _strays(present, layout),
        scheme != "auto",
    )


def _recognize(root: Path, present: dict[str, os.DirEntry[str]]) -> Layout:
    for layout in Layout:
        if any(name in present and _is_folder(present[name]) for name in layout.folders):
            return layout
    raise ToolkitError(
        f"{root}: not a dataset; it has neither trainA, trainB, testA, testB nor A, B"
    )


def _strays(present: dict[str, os.DirEntry[str]], layout: Layout) -> tuple[str, ...]:
    others = {name for other in Layout if other is not layout for name in other.folders}
    return tuple(
        sorted(
            name
            for name, item in present.items()
            if (name in others and _is_folder(item))
            or (not name.startswith(".") and naming.is_image_name(name) and not _is_folder(item))
        )
    )


def _entry(
    root: Path, item: os.DirEntry[str], folder: str, split: str, side: Side, scheme: Scheme
) -> Entry:
    kind = _kind(root, item)
    entry = Entry(f"{folder}/{item.name}", split, side, kind, None)
    if not entry.is_image:
        return entry
    return Entry(entry.path, split, side, kind, naming.parse(item.name, scheme, side))


def _kind(root: Path, item: os.DirEntry[str]) -> Kind:
    if item.is_symlink():
        if _leads_out(root, Path(item.path)):
            return Kind.ESCAPE
        if not Path(item.path).exists():
            return Kind.DANGLING
    if item.is_file():
        return Kind.FILE
    return Kind.FOLDER if item.is_dir() else Kind.OTHER


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:
        return False


def _leads_out(root: Path, path: Path) -> bool:
    """Whether `path` is a link whose target lies outside the dataset, be it there or not."""
    if not path.is_symlink():
        return False
    target = Path(os.path.realpath(path))
    return not target.is_relative_to(os.path.realpath(root))
