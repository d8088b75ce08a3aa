"""What the studio remembers of a sketch: its draft, and what was handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a submission stands."""

    WAITING = "waiting"
    ACCEPTING = "accepting"
    """Being written into the dataset; a server that dies then finds out when it starts again."""
    ACCEPTED = "accepted"
    RETURNED = "returned"
    REPLACED = "replaced"
    """By a later version, before anybody had decided."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A drawing that was not handed in yet.

    Attributes:
        document: of the drawing, see `Drawing.to_json`.
        revision: counts its changes, over all tabs and versions; it never goes back.
    """

    document: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A sketch offered for the dataset.

    Attributes:
        version: 1 for the designer's first of this photo.
        strokes: bytes of its `strokes/STEM.json`; `None` for an uploaded picture.
        picture: bytes of its PNG.
        base: sha256 of the file that was in its place in the dataset when it was handed in.
        findings: what the rules said, as JSON objects.
        comment: the reviewer's, where it was returned.
    """

    id: int
    designer: str
    photo: str
    version: int
    state: State
    strokes: bytes | None
    picture: bytes
    base: str | None
    findings: tuple[Mapping[str, Any], ...]
    moment: float
    comment: str = ""
