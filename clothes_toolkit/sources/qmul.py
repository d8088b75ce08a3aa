"""QMUL's ShoeV2 and ChairV2 (Yu et al., "Fine-Grained Instance-Level SBIR", IJCV 2021).

Two shapes are about: `photo/` beside `NAME_Coordinate`, a pickle of strokes by `train/STEM_N`; and
`trainA trainB testA testB` with sketches as `STEM_N.png`.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clothes_toolkit.dataset import Layout
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.naming import Side
from clothes_toolkit.sources.found import (
    Found,
    FoundPhoto,
    FoundSketch,
    LeftOut,
    sort_images,
    stem_of,
    take_number,
    visible_files,
)
from clothes_toolkit.strokes import Drawing, Stroke

QMUL_CANVAS = 800
"""The side of the canvas on which the sketches were drawn."""
CANVAS = 256
LINE = 2.0
LARGEST_PICKLE = 1 << 30
MOST_POINTS = 100_000
FARTHEST = 10 * QMUL_CANVAS


def recognizes(root: Path) -> bool:
    """Whether a folder has one of QMUL's shapes."""
    return _strokes_file(root) is not None or (root / "trainA").is_dir()


def read(root: Path) -> Found:
    """Return what a QMUL folder holds; raises `ToolkitError` where it cannot be read."""
    strokes = _strokes_file(root)
    return _read_strokes(root, strokes) if strokes else _read_images(root)


def read_coordinates(file: Path) -> dict[str, Any]:
    """Return the arrays (N, 3) of a `*_Coordinate` file by name; `None` for what is no array.

    Only arrays of numbers are unpickled: anything else could run code. What asks for more is
    refused with `ToolkitError`.
    """
    if file.stat().st_size > LARGEST_PICKLE:
        raise ToolkitError(f"{file}: larger than any known release; not read")
    try:
        found = _ArraysOnly(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except ToolkitError as error:
        raise ToolkitError(f"{file}: {error}") from error
    except Exception as error:
        raise ToolkitError(f"{file}: cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise ToolkitError(f"{file}: holds no table of strokes")
    return {str(key): _checked(value) for key, value in found.items()}


def _checked(value: object) -> Any:
    """Return an array, or `None` for anything that is not an array of numbers."""
    try:
        return value.checked() if isinstance(value, _Array) else None
    except (ValueError, TypeError, OverflowError, MemoryError):
        return None


class _Dtype:
    """Stands for a NumPy dtype in a pickle: its text, and nothing that a pickle could misuse."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands for a NumPy array in a pickle until what it says of itself has been checked."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def checked(self) -> Any:
        """Return the array; raises `ValueError` where it is none of plain numbers."""
        import numpy as np

        _, shape, dtype, is_fortran, raw = self.state
        if not isinstance(dtype, _Dtype) or not re.fullmatch("[fiu][1248]|b1", dtype.code):
            raise ValueError("not an array of numbers")
        if isinstance(raw, str):  # written by Python 2
            raw = raw.encode("latin1")
        order = dtype.order if dtype.order in ("<", ">") else ""
        flat = np.frombuffer(raw, np.dtype(order + dtype.code))
        return flat.reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ToolkitError(f"an array in {encoding}; refused")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    # How byte strings, which hold an array's numbers, come through protocol 2.
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}


class _ArraysOnly(pickle.Unpickler):
    """Never calls NumPy, whose own unpickling trusts what it is told, down to addresses."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            what = f"wants to load {module}.{name}, which is no array; refused"
            raise ToolkitError(what) from None


def _strokes_file(root: Path) -> Path | None:
    if not (root / "photo").is_dir():
        return None
    found = [file for file in visible_files(root) if file.name.endswith("_Coordinate")]
    return found[0] if found else None


def _read_strokes(root: Path, file: Path) -> Found:
    found = Found()
    photos = {stem_of(path): path for path in sort_images(root / "photo", root, found.left_out)}
    used: set[tuple[str, str]] = set()
    for key, points in sorted(read_coordinates(file).items(), key=lambda item: str(item[0])):
        split, _, name = str(key).rpartition("/")
        numbered = take_number(name)
        origin = f"{file.name}: {key}"
        if split not in ("train", "test") or numbered is None:
            found.left_out.append(LeftOut(origin, "not named like train/STEM_1"))
            continue
        stem, number = numbered
        try:
            strokes = tuple(_strokes(points))
        except (ValueError, TypeError) as error:
            found.left_out.append(LeftOut(origin, f"no strokes ({error})"))
            continue
        drawing = Drawing(name, (CANVAS, CANVAS), strokes)
        found.sketches.append(FoundSketch(origin, stem, number, split, drawing=drawing))
        used.add((stem, split))
    for stem, split in sorted(used):
        if stem in photos:
            found.photos.append(FoundPhoto(photos[stem], stem, split))
    drawn = {stem for stem, _ in used}
    for stem, path in photos.items():
        if stem not in drawn:
            found.left_out.append(LeftOut(f"photo/{path.name}", "nobody drew it"))
    return found


def _strokes(points: Any) -> Iterator[Stroke]:
    """Take an array of x, y and "last of its stroke" apart."""
    import numpy as np

    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 3 or not 0 < len(array) <= MOST_POINTS:
        raise ValueError(f"an array of shape {array.shape}")
    if not (np.abs(array) <= FARTHEST).all():
        raise ValueError("a point that is nowhere near a canvas")
    ends = np.flatnonzero(array[:, 2] == 1) + 1
    for part in np.split(array[:, :2] * (CANVAS / QMUL_CANVAS), ends):
        if len(part):
            yield Stroke(
                tuple((round(x, 2), round(y, 2), None, None) for x, y in part.tolist()), LINE
            )


def _read_images(root: Path) -> Found:
    found = Found()
    for path in visible_files(root):
        if path.name not in Layout.SPLIT.folders:
            found.left_out.append(LeftOut(path.name, "no part of the release"))
    for split in Layout.SPLIT.splits:
        photos, sketches = (Layout.SPLIT.folder(split, s) for s in (Side.PHOTO, Side.SKETCH))
        if (root / photos).is_dir():
            for file in sort_images(root / photos, root, found.left_out):
                found.photos.append(FoundPhoto(file, stem_of(file), split))
        if (root / sketches).is_dir():
            for file in sort_images(root / sketches, root, found.left_out):
                numbered = take_number(stem_of(file))
                origin = f"{sketches}/{file.name}"
                if numbered is None:
                    found.left_out.append(LeftOut(origin, "not named like STEM_1.png"))
                else:
                    found.sketches.append(FoundSketch(origin, *numbered, split, file))
    return found
