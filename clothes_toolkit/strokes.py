"""What was drawn, stroke by stroke, and its picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from clothes_toolkit.errors import ToolkitError

SCHEMA = "clothes-toolkit/strokes/1"
FARTHEST, LONGEST = 1e5, 1e12
"""Canvas units and milliseconds beyond which nothing is drawn."""
LARGEST = 8192
"""Pixels of a canvas' longer side, at most."""
SMOOTHING = 4
"""Pixels of a finer picture that are averaged to one, each way."""
ERASER = "eraser"
"""The tool that draws paper."""
INK, BLANK = 0, 255

Point = tuple[float, float, float | None, float | None]
"""x and y in canvas units, pressure 0 to 1 or `None`, milliseconds or `None`."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line, from pen down to pen up.

    Attributes:
        points: in drawing order.
        width: in canvas units, at full pressure.
        tool: what it was drawn with; `ERASER` draws paper over what was there.
        erased: milliseconds, on the clock of the points, when the whole stroke was taken away;
            `None` is never.
    """

    points: tuple[Point, ...]
    width: float = 2.0
    tool: str = "pen"
    erased: float | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """The strokes of one sketch.

    Attributes:
        sketch: the stem of its file.
        canvas: width and height.
        strokes: in drawing order, with those that were erased.
        app: what recorded them, with its version.
    """

    sketch: str
    canvas: tuple[int, int]
    strokes: tuple[Stroke, ...]
    app: str | None = None

    @property
    def kept(self) -> tuple[Stroke, ...]:
        """The strokes that were not erased."""
        return tuple(stroke for stroke in self.strokes if stroke.erased is None)

    def beginning(self, share: float) -> Drawing:
        """Return the first `share` (0 to 1) of the kept strokes, rounded up."""
        count = ceil(share * len(self.kept))
        return replace(self, strokes=self.kept[:count])

    def to_json(self) -> dict[str, Any]:
        """Return the document of its `strokes/STEM.json`."""
        app = {} if self.app is None else {"app": self.app}
        return {
            "schema": SCHEMA,
            "sketch": self.sketch,
            "canvas": list(self.canvas),
            **app,
            "strokes": [_stroke_to_json(stroke) for stroke in self.strokes],
        }

    def to_bytes(self) -> bytes:
        """Return the content of its `strokes/STEM.json`."""
        text = json.dumps(self.to_json(), separators=(",", ":"), allow_nan=False)
        return f"{text}\n".encode()


def read_drawing(path: Path) -> Drawing:
    """Read a `strokes/STEM.json`; raises `ToolkitError` where it is none."""
    try:
        return parse_drawing(json.loads(path.read_bytes()))
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ToolkitError(f"{path}: holds no strokes ({error})") from error


def parse_drawing(document: Any) -> Drawing:
    """Read the document of a drawing; raises `ValueError` saying what is wrong with it."""
    try:
        return _drawing(document)
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error
    except (TypeError, OverflowError, AttributeError) as error:
        raise ValueError(str(error)) from error


def render(
    drawing: Drawing, size: tuple[int, int] | None = None, line_width: float | None = None
) -> Image.Image:
    """Return a drawing as a grey picture: black, smoothed, on opaque white.

    The same strokes give the same pixels on every machine: lines are drawn without smoothing on a
    finer grid, in whole numbers, and averaged.

    Args:
        drawing: what was drawn.
        size: (width, height) in pixels; the canvas', if left out. A canvas of other proportions
            lies in the middle, with paper beside it.
        line_width: of all pens at full pressure, in pixels; as drawn, if left out.
    """
    width, height = size or drawing.canvas
    scale = min(width / drawing.canvas[0], height / drawing.canvas[1])
    left, top = (
        (side - scale * drawn) / 2
        for side, drawn in zip((width, height), drawing.canvas, strict=True)
    )
    fine = Image.new("L", (width * SMOOTHING, height * SMOOTHING), BLANK)
    draw = ImageDraw.Draw(fine)
    for stroke in drawing.kept:
        wide = scale * stroke.width
        if line_width is not None and stroke.tool != ERASER:
            wide = line_width
        dots = [
            (round((scale * x + left) * SMOOTHING), round((scale * y + top) * SMOOTHING))
            for x, y, _, _ in stroke.points
        ]
        widths = [_fine_width(wide, pressure) for _, _, pressure, _ in stroke.points]
        _draw(draw, dots, widths, BLANK if stroke.tool == ERASER else INK)
    return fine.reduce(SMOOTHING)


def to_svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG document; each stroke is a group of its segments.

    A pen whose pressure was not recorded is one polyline.
    """
    width, height = drawing.canvas
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'fill="none" stroke-linecap="round" stroke-linejoin="round">'
        ),
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *(_stroke_to_svg(stroke) for stroke in drawing.kept if stroke.points),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _draw(
    draw: ImageDraw.ImageDraw, dots: Sequence[tuple[int, int]], widths: Sequence[int], level: int
) -> None:
    last = None
    for dot, wide in zip(dots, widths, strict=True):
        # Points nearer than a fine pixel, of a slow hand, add nothing.
        if last == (dot, wide):
            continue
        low, high = wide // 2, (wide - 1) // 2
        draw.ellipse((dot[0] - low, dot[1] - low, dot[0] + high, dot[1] + high), fill=level)
        if last is not None:
            draw.line([last[0], dot], fill=level, width=wide)
        last = (dot, wide)


def _fine_width(width: float, pressure: float | None) -> int:
    return max(1, round(width * SMOOTHING * (1.0 if pressure is None else pressure)))


def _stroke_to_json(stroke: Stroke) -> dict[str, Any]:
    document: dict[str, Any] = {
        "tool": stroke.tool,
        "width": stroke.width,
        "points": [list(point) for point in stroke.points],
    }
    if stroke.erased is not None:
        document["erased"] = stroke.erased
    return document


def _stroke_to_svg(stroke: Stroke) -> str:
    color = "#fff" if stroke.tool == ERASER else "#000"
    points = [(f"{x:g}", f"{y:g}") for x, y, _, _ in stroke.points]
    pressures = [pressure for _, _, pressure, _ in stroke.points]
    if len(points) == 1 or all(pressure is None for pressure in pressures):
        path = " ".join(",".join(point) for point in points[:1] + points)
        return f'<polyline stroke="{color}" stroke-width="{stroke.width:g}" points="{path}"/>'
    segments = (
        f'<path stroke-width="{stroke.width * (1.0 if pressure is None else pressure):g}" '
        f'd="M{" ".join(start)}L{" ".join(end)}"/>'
        for start, end, pressure in zip(points, points[1:], pressures[1:], strict=False)
    )
    return f'<g stroke="{color}">{"".join(segments)}</g>'


def _drawing(document: Mapping[str, Any]) -> Drawing:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")
    width, height = (int(side) for side in document["canvas"])
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise ValueError(f"a canvas of {width}×{height}")
    app = document.get("app")
    return Drawing(
        str(document["sketch"]),
        (width, height),
        tuple(_stroke(stroke) for stroke in document["strokes"]),
        None if app is None else str(app),
    )


def _stroke(document: Mapping[str, Any]) -> Stroke:
    erased = document.get("erased")
    return Stroke(
        tuple(_point(point) for point in document["points"]),
        _number(document["width"], 0, FARTHEST),
        str(document["tool"]),
        None if erased is None else _number(erased, -LONGEST, LONGEST),
    )


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
