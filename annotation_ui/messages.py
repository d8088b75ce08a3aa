"""What a browser sends of a drawing: checked, bounded, and in the words of the toolkit."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

from clothes_toolkit import __version__
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.strokes import ERASER, Drawing, Stroke, parse_drawing

APP = f"clothes-toolkit {__version__}"
CANVAS = (1024, 1024)
"""Units of the pad, whatever its size on a screen."""
TOOLS = ("pen", ERASER)
MOST_BYTES = 8 * 1024 * 1024
MOST_STROKES, MOST_POINTS = 20_000, 200_000
WIDEST = 200.0
"""Canvas units of a line, at full pressure."""
_FIELDS = {"tool", "width", "points", "erased"}


def read_message(data: bytes, sketch: str) -> Drawing:
    """Read a drawing of `sketch` that a browser sent.

    Raises `ToolkitError` saying in one line what is wrong with it: too large, no JSON, unknown
    fields or tools, what is no number, times that run backwards.
    """
    if len(data) > MOST_BYTES:
        raise ToolkitError(f"a drawing of {len(data)} bytes; {MOST_BYTES} are the limit")
    try:
        document = json.loads(data, parse_constant=_no_number)
        if not isinstance(document, dict):
            raise ValueError("no object")
        _check_shape(document)
        drawing = parse_drawing({**document, "sketch": sketch})
        for number, stroke in enumerate(drawing.strokes):
            _check(stroke, number)
    except (ValueError, RecursionError) as error:
        raise ToolkitError(f"this is no drawing: {error}") from error
    if drawing.canvas != CANVAS:
        raise ToolkitError("this is no drawing: its canvas is not that of the pad")
    return replace(drawing, app=APP)


def _check_shape(document: dict[str, Any]) -> None:
    unknown = set(document) - {"schema", "sketch", "canvas", "strokes", "app"}
    strokes = document.get("strokes")
    if unknown or not isinstance(strokes, list):
        raise ValueError(f"unknown fields {sorted(unknown)}" if unknown else "strokes are missing")
    if len(strokes) > MOST_STROKES:
        raise ValueError(f"{len(strokes)} strokes; {MOST_STROKES} are the limit")
    points = 0
    for stroke in strokes:
        if not isinstance(stroke, dict) or not isinstance(stroke.get("points"), list):
            raise ValueError("a stroke without points")
        if set(stroke) - _FIELDS:
            raise ValueError(f"unknown fields {sorted(set(stroke) - _FIELDS)} of a stroke")
        points += len(stroke["points"])
    if points > MOST_POINTS:
        raise ValueError(f"{points} points; {MOST_POINTS} are the limit")


def _check(stroke: Stroke, number: int) -> None:
    if stroke.tool not in TOOLS:
        raise ValueError(f"stroke {number} has the tool {stroke.tool!r}")
    if not 0 < stroke.width <= WIDEST:
        raise ValueError(f"stroke {number} has the width {stroke.width}")
    moments = [moment for _, _, _, moment in stroke.points if moment is not None]
    if any(moment < 0 for moment in moments):
        raise ValueError(f"stroke {number} has a negative time")
    if any(later < earlier for earlier, later in pairwise(moments)):
        raise ValueError(f"the times of stroke {number} run backwards")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number to draw with")
