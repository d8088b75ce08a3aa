"""Datasets of other shapes, turned into this layout."""

from __future__ import annotations

import dataclasses
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit import naming
from clothes_toolkit.dataset import Layout
from clothes_toolkit.edits.files import copy_file, new_folder, write_file
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import png_bytes
from clothes_toolkit.naming import PhotoName, Scheme, Side, SketchName
from clothes_toolkit.sources import flat, qmul, sketchy, zips
from clothes_toolkit.sources.found import Found, FoundPhoto, FoundSketch, LeftOut, visible_files
from clothes_toolkit.strokes import Drawing, render

KINDS = {"qmul": qmul, "sketchy": sketchy, "flat": flat}
"""Shapes, in the order in which they are tried."""
UNPACKED = ".unpacked"
LARGEST_NUMBER = 99

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a source.

    Attributes:
        kind: the shape that it had.
        left_out: what was not taken over.
    """

    kind: str
    photos: int
    sketches: int
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A file of the new dataset: a copy, or a drawing to be rendered."""

    target: str
    file: Path | None
    drawing: Drawing | None = None


def import_dataset(
    source: Path,
    out: Path,
    kind: str = "auto",
    on_progress: Progress = lambda _done, _total: None,
) -> Imported:
    """Make a dataset of a folder or zip file of another shape.

    Args:
        source: the folder or zip file; it stays as it is.
        out: the new folder.
        kind: one of `KINDS`, or "auto" to look.
        on_progress: hears how many images were written.

    Raises `ToolkitError` where the source has no known shape, holds nothing, or cannot be trusted.
    """
    if not source.exists():
        raise ToolkitError(f"{source}: no such file or folder")
    with new_folder(out) as folder:
        root = source
        if not source.is_dir():
            if not (source.is_file() and zipfile.is_zipfile(source)):
                raise ToolkitError(f"{source}: neither a folder nor a zip file")
            root = folder / UNPACKED
            root.mkdir()
            zips.unpack(source, root)
        root = _innermost(root)
        kind = _recognize(source, root) if kind == "auto" else kind
        found = KINDS[kind].read(root)
        placed = list(_place(found))
        photos = sum(item.target.partition("/")[0].endswith("B") for item in placed)
        if not photos:
            raise ToolkitError(f"{source}: holds no photo that could be taken over")
        _write(folder, placed, on_progress)
        if (folder / UNPACKED).exists():
            shutil.rmtree(folder / UNPACKED)
    return Imported(kind, photos, len(placed) - photos, tuple(found.left_out))


def _innermost(root: Path) -> Path:
    """Go down while a folder holds one folder and nothing else, as archives often do."""
    while not any(shape.recognizes(root) for shape in KINDS.values()):
        inner = [path for path in visible_files(root) if path.name != "__MACOSX"]
        if len(inner) != 1 or not inner[0].is_dir() or inner[0].is_symlink():
            break
        root = inner[0]
    return root


def _recognize(source: Path, root: Path) -> str:
    for kind, shape in KINDS.items():
        if shape.recognizes(root):
            return kind
    raise ToolkitError(
        f"{source}: has no known shape ({', '.join(KINDS)}); see `clothes-toolkit import --help`"
    )


def _place(found: Found) -> Iterator[_Placed]:
    """Yield the files of the new dataset; what has no place is left out."""
    placer = _Placer(found)
    for photo in found.photos:
        yield from placer.photo(photo)
    for sketch in found.sketches:
        yield from placer.sketch(sketch)


class _Placer:
    """Gives names and places, each once."""

    def __init__(self, found: Found) -> None:
        self.left_out = found.left_out
        self.scheme = _scheme(found)
        self.layout = Layout.SPLIT if any(p.split for p in found.photos) else Layout.POOL
        self.stems: dict[tuple[str | None, str], str] = {}
        self.taken: dict[str, tuple[object, str]] = {}

    def photo(self, photo: FoundPhoto) -> Iterator[_Placed]:
        extension = naming.split_extension(photo.file.name)[1].lower()
        meant = naming.suggest(_name(photo) + extension, self.scheme, Side.PHOTO)
        if meant is None:
            self._leave(photo.file.name, "has no name that could be kept")
        elif target := self._claim(photo.file, photo.file.name, photo.split, Side.PHOTO, meant):
            self.stems[photo.split, photo.stem] = naming.split_extension(meant)[0]
            yield _Placed(target, photo.file)

    def sketch(self, sketch: FoundSketch) -> Iterator[_Placed]:
        stem = self.stems.get((sketch.split, sketch.photo))
        most = 9 if self.scheme is Scheme.CLOTHES else LARGEST_NUMBER
        if stem is None:
            self._leave(sketch.origin, f"its photo {sketch.photo} is not there")
            return
        if sketch.number > most:
            self._leave(sketch.origin, f"a number above {most} has no name here")
            return
        name = SketchName(stem, f"{sketch.number:02}")
        extension = naming.split_extension(sketch.file.name)[1].lower() if sketch.file else ".png"
        target = self._claim(
            sketch, sketch.origin, sketch.split, Side.SKETCH, naming.filename(name, extension)
        )
        if target:
            drawing = sketch.drawing and dataclasses.replace(sketch.drawing, sketch=name.stem)
            yield _Placed(target, sketch.file, drawing)

    def _claim(
        self, owner: object, origin: str, split: str | None, side: Side, filename: str
    ) -> str | None:
        """Return the path of a file in the new dataset, or `None` where another has its stem."""
        folder = self.layout.folder(split or self.layout.splits[0], side)
        stem = f"{folder}/{naming.split_extension(filename)[0]}"
        first, other = self.taken.setdefault(naming.folded(stem), (owner, origin))
        if first is not owner:
            self._leave(origin, f"{other} is {stem}, too")
            return None
        return f"{folder}/{filename}"

    def _leave(self, path: str, reason: str) -> None:
        self.left_out.append(LeftOut(path, reason))


def _name(photo: FoundPhoto) -> str:
    return photo.name or photo.stem


def _scheme(found: Found) -> Scheme:
    """Return scheme clothes where every photo has its name, else open."""
    fits = all(
        naming.parse(photo.file.name, Scheme.CLOTHES, Side.PHOTO) == PhotoName(_name(photo))
        for photo in found.photos
    )
    few = all(0 < sketch.number < 10 for sketch in found.sketches)
    png = all(s.file is None or s.file.name.endswith(".png") for s in found.sketches)
    return Scheme.CLOTHES if fits and few and png else Scheme.OPEN


def _write(folder: Path, placed: list[_Placed], on_progress: Progress) -> None:
    layouts = Counter(item.target.partition("/")[0] for item in placed)
    layout = Layout.POOL if {"A", "B"} & set(layouts) else Layout.SPLIT
    for name in layout.folders:
        (folder / name).mkdir()
    for number, item in enumerate(placed, 1):
        if item.drawing is not None:
            (folder / "strokes").mkdir(exist_ok=True)
            write_file(folder / "strokes" / f"{item.drawing.sketch}.json", item.drawing.to_bytes())
        if item.file is not None:
            copy_file(item.file, folder / item.target)
        elif item.drawing is not None:
            write_file(folder / item.target, png_bytes(render(item.drawing).convert("RGB")))
        on_progress(number, len(placed))
