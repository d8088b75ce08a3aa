"""The grammar of file names: the only place that takes one apart or puts one together.

Scheme `clothes` is Clothes-V1's own: photo `00003.png`, sketch `00003_01.png`. Scheme `open` lets
photos carry any stem: photo `oak-chair.jpg`, sketch `oak-chair_01.png`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Scheme(StrEnum):
    """Which grammar a dataset's names follow."""

    CLOTHES = "clothes"
    OPEN = "open"


class Side(StrEnum):
    """A: sketches. B: photos."""

    SKETCH = "A"
    PHOTO = "B"


@dataclass(frozen=True, slots=True)
class PhotoName:
    """A photo's name: its stem."""

    stem: str


@dataclass(frozen=True, slots=True)
class SketchName:
    """A sketch's name: the stem of the photo it draws, and the designer who drew it."""

    photo: str
    designer: str

    @property
    def stem(self) -> str:
        """The sketch's own stem."""
        return f"{self.photo}_{self.designer}"


Name = PhotoName | SketchName

EXTENSIONS = {
    Scheme.CLOTHES: (".png",),
    Scheme.OPEN: (".png", ".jpg", ".jpeg", ".webp"),
}
IMAGE_EXTENSIONS = EXTENSIONS[Scheme.OPEN]

_CLOTHES_PHOTO = re.compile(r"[0-9]{5}")
_CLOTHES_SKETCH = re.compile(r"([0-9]{5})_(0[1-9])")
_OPEN_PHOTO = re.compile(r"[A-Za-z0-9._-]+")
_OPEN_SKETCH = re.compile(r"([A-Za-z0-9._-]+)_([0-9]{2})")
_COPY_MARK = re.compile(r"(?i)(\s*[-_]?\s*copy(\s*\d+)?|\s*\(\d+\))$")


def split_extension(filename: str) -> tuple[str, str]:
    """Split `filename` before its last dot; the extension keeps its dot and its letter case."""
    stem, dot, extension = filename.rpartition(".")
    return (stem, dot + extension) if stem else (filename, "")


def is_image_name(filename: str) -> bool:
    """Whether the extension is that of an image, in any letter case."""
    return split_extension(filename)[1].lower() in IMAGE_EXTENSIONS


def parse(filename: str, scheme: Scheme, side: Side) -> Name | None:
    """Take a file name apart; `None` where the scheme does not allow it.

    In scheme `clothes` the name alone tells photo from sketch; in `open` the side does.
    """
    stem, extension = split_extension(filename)
    if extension not in EXTENSIONS[scheme]:
        return None
    if scheme is Scheme.CLOTHES:
        return _parse_clothes(stem)
    if is_image_name(stem):
        return None
    pattern = _OPEN_SKETCH if side is Side.SKETCH else _OPEN_PHOTO
    found = pattern.fullmatch(stem)
    if not found:
        return None
    return SketchName(*found.groups()) if side is Side.SKETCH else PhotoName(stem)


def filename(name: Name, extension: str = ".png") -> str:
    """Put a file name together."""
    return name.stem + extension


def belongs_on(name: Name) -> Side:
    """Return the side where a name is at home."""
    return Side.SKETCH if isinstance(name, SketchName) else Side.PHOTO


def guess_scheme(filenames: Iterable[str]) -> Scheme:
    """Return `clothes` if at least half of the image files' stems fit it, else `open`."""
    fits = [
        _parse_clothes(split_extension(name)[0]) is not None
        for name in filenames
        if is_image_name(name)
    ]
    return Scheme.CLOTHES if 2 * sum(fits) >= len(fits) else Scheme.OPEN


def differs_in_case_only(filename: str, scheme: Scheme, side: Side) -> bool:
    """Whether a name would be allowed but for the letter case of its extension or stem."""
    if parse(filename, scheme, side) is not None:
        return False
    stem, extension = split_extension(filename)
    return parse(stem + extension.lower(), scheme, side) is not None


def suggest(filename: str, scheme: Scheme, side: Side) -> str | None:
    """Return the allowed name that a wrong one probably meant, or `None`."""
    stem, extension = split_extension(unicodedata.normalize("NFKC", filename).strip())
    stem, extension = stem.strip(), extension.strip().lower()
    while is_image_name(stem):
        stem = split_extension(stem)[0]
    stem = _COPY_MARK.sub("", stem)
    if extension not in EXTENSIONS[scheme]:
        extension = EXTENSIONS[scheme][0]
    repaired = _repair_clothes(stem) if scheme is Scheme.CLOTHES else _repair_open(stem, side)
    if repaired is None or parse(repaired + extension, scheme, side) is None:
        return None
    return repaired + extension


def printable(text: str) -> str:
    """Return text in which control characters and undecodable bytes show as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def folded(filename: str) -> str:
    """Return what a case-insensitive, normalizing disk takes a file name for."""
    return unicodedata.normalize("NFC", filename).casefold()


def _parse_clothes(stem: str) -> Name | None:
    if _CLOTHES_PHOTO.fullmatch(stem):
        return PhotoName(stem)
    found = _CLOTHES_SKETCH.fullmatch(stem)
    return SketchName(*found.groups()) if found else None


def _repair_clothes(stem: str) -> str | None:
    found = re.fullmatch(r"0*([0-9]{1,5})(?:[\s_.-]+0*([1-9]))?", stem)
    if not found:
        return None
    number, designer = found.groups()
    return f"{number:0>5}_0{designer}" if designer else f"{number:0>5}"


def _repair_open(stem: str, side: Side) -> str | None:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-")
    if side is Side.PHOTO:
        return stem or None
    found = re.fullmatch(r"(.+?)[_-]([0-9]{1,2})", stem)
    return f"{found[1]}_{found[2]:0>2}" if found else None
