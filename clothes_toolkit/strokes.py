"""What was drawn, stroke by stroke, and its picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from clothes_toolkit.errors import ToolkitError

SCHEMA = "clothes-toolkit/strokes/1"
FARTHEST, LONGEST = 1e5, 1e12
"""Canvas units and milliseconds beyond which nothing is drawn."""
SMOOTHING = 4
"""Pixels of a finer picture that are averaged to one, each way."""

Point = tuple[float, float, float | None, float | None]
"""x and y in canvas units, pressure 0 to 1 or `None`, milliseconds or `None`."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line, from pen down to pen up.

    Attributes:
        points: in drawing order.
        width: in canvas units, at full pressure.
        tool: what it was drawn with.
    """

    points: tuple[Point, ...]
    width: float = 2.0
    tool: str = "pen"


@dataclass(frozen=True, slots=True)
class Drawing:
    """The strokes of one sketch, in drawing order, on a canvas (width, height)."""

    sketch: str
    canvas: tuple[int, int]
    strokes: tuple[Stroke, ...]

    def to_bytes(self) -> bytes:
        """Return the content of its `strokes/STEM.json`."""
        document = {
            "schema": SCHEMA,
            "sketch": self.sketch,
            "canvas": list(self.canvas),
            "strokes": [
                {"tool": s.tool, "width": s.width, "points": [list(p) for p in s.points]}
                for s in self.strokes
            ],
        }
        return (json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n").encode()


def read_drawing(path: Path) -> Drawing:
    """Read a `strokes/STEM.json`; raises `ToolkitError` where it is none."""
    try:
        return _drawing(json.loads(path.read_bytes()))
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ToolkitError(f"{path}: holds no strokes ({error})") from error


def render(drawing: Drawing) -> Image.Image:
    """Return a drawing as a grey picture of its canvas' size: black, smoothed, on white.

    The same strokes give the same pixels on every machine: lines are drawn without smoothing on a
    finer grid, in whole numbers, and averaged.
    """
    width, height = drawing.canvas
    fine = Image.new("L", (width * SMOOTHING, height * SMOOTHING), 255)
    draw = ImageDraw.Draw(fine)
    for stroke in drawing.strokes:
        dots = [(round(x * SMOOTHING), round(y * SMOOTHING)) for x, y, _, _ in stroke.points]
        widths = [_fine_width(stroke.width, pressure) for _, _, pressure, _ in stroke.points]
        for dot, thick in zip(dots, widths, strict=True):
            _dab(draw, dot, thick)
        for start, end, thick in zip(dots, dots[1:], widths[1:], strict=False):
            draw.line([start, end], fill=0, width=thick)
    return fine.reduce(SMOOTHING)


def _fine_width(width: float, pressure: float | None) -> int:
    return max(1, round(width * SMOOTHING * (1.0 if pressure is None else pressure)))


def _dab(draw: ImageDraw.ImageDraw, dot: tuple[int, int], thick: int) -> None:
    """Draw the round end of a line."""
    low, high = thick // 2, (thick - 1) // 2
    draw.ellipse((dot[0] - low, dot[1] - low, dot[0] + high, dot[1] + high), fill=0)


def _drawing(document: Any) -> Drawing:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")
    width, height = (int(side) for side in document["canvas"])
    if not (0 < width <= 8192 and 0 < height <= 8192):
        raise ValueError(f"a canvas of {width}×{height}")
    strokes = tuple(
        Stroke(
            tuple(_point(point) for point in stroke["points"]),
            _number(stroke["width"], 0, FARTHEST),
            str(stroke["tool"]),
        )
        for stroke in document["strokes"]
    )
    return Drawing(str(document["sketch"]), (width, height), strokes)


def _point(values: Sequence[Any]) -> Point:
    x, y, pressure, moment = values
    return (
        _number(x, -FARTHEST, FARTHEST),
        _number(y, -FARTHEST, FARTHEST),
        None if pressure is None else _number(pressure, 0, 1),
        None if moment is None else _number(moment, -LONGEST, LONGEST),
    )


def _number(value: Any, least: float, most: float) -> float:
    number = float(value)
    if not least <= number <= most:
        raise ValueError(f"{value} is no number to draw with")
    return number
