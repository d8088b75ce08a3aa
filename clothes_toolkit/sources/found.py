"""What a source of another shape turns out to hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from clothes_toolkit import naming
from clothes_toolkit.strokes import Drawing

_NUMBERED = re.compile(r"(.+)[_-]([0-9]+)")


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo.

    Attributes:
        file: where it is.
        stem: what its sketches call it; no other photo of its split has it.
        split: `None` where nothing is split.
        name: the stem that it should get; `stem` if left out.
    """

    file: Path
    stem: str
    split: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class FoundSketch:
    """A sketch of the photo with the stem `photo`: an image file, or strokes, or both.

    Attributes:
        origin: what it is called in the source, for messages.
        photo: the stem of its photo, as it is there.
        number: which sketch of that photo it is, or who drew it.
    """

    origin: str
    photo: str
    number: int
    split: str | None = None
    file: Path | None = None
    drawing: Drawing | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not taken over, and why."""

    path: str
    reason: str


@dataclass
class Found:
    """All that a source holds."""

    photos: list[FoundPhoto] = field(default_factory=list)
    sketches: list[FoundSketch] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def take_number(stem: str) -> tuple[str, int] | None:
    """Take `STEM_N` or `STEM-N` apart; `None` where it does not end in a number."""
    found = _NUMBERED.fullmatch(stem)
    return (found[1], int(found[2])) if found else None


def stem_of(file: Path) -> str:
    """Return a file's stem as the grammar of names sees it."""
    return naming.split_extension(file.name)[0]


def visible_files(folder: Path) -> list[Path]:
    """Return what lies in a folder but for hidden files, sorted."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def sort_images(folder: Path, root: Path, left_out: list[LeftOut]) -> list[Path]:
    """Return the image files of a folder; what else is there is left out."""
    images = []
    for path in visible_files(folder):
        if path.is_symlink():
            left_out.append(LeftOut(path.relative_to(root).as_posix(), "a link"))
        elif path.is_file() and naming.is_image_name(path.name):
            images.append(path)
        else:
            left_out.append(LeftOut(path.relative_to(root).as_posix(), "not an image"))
    return images
