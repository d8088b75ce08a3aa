"""How a drawing is laid out for a network: as large as drawings are, in lines that can be seen.

Sketches come in every size and weight. One in a corner of a large canvas leaves most patches blank,
and resizing fades lines that are thinner than a pixel of the result. A drawing that already fills
its canvas in black stays as it is, pixel by pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL = 0.6
"""Share of the canvas that the longer side of a drawing covers at least, unless it is small."""
FRAMED = 0.75
"""What a small one then covers; QMUL's drawings do."""
STRAY = 0.001
"""Share of the ink that may lie beyond each edge of a drawing: specks of dust."""
PAPER = 16 / 255
"""Ink that is lighter everywhere than this share of black is no drawing."""
BLACK = 0.9
"""Share of black that the darker lines of a drawing have at least."""

Ink = NDArray[np.float32]


def frame(picture: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """Resize a sketch (RGB, dark on light) to `size` = (width, height), framed by its ink.

    A small drawing is magnified to `FRAMED` of the canvas and moved to its middle; the proportions
    of the canvas, which the photo shares, stay. Faint lines become black, all by the same factor.
    """
    box = _frame_of(_ink(picture))
    if box is not None:
        # A crop alone would fill what lies beyond the canvas with black.
        paper = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), "white")
        paper.paste(picture, (-box[0], -box[1]))
        picture = paper
    small = picture.resize(size, resample)
    gain = _gain(_ink(small))
    if gain <= 1:
        return small
    darker = [round(max(255 - gain * (255 - value), 0)) for value in range(256)]
    return small.point(darker * len(small.getbands()))


def _ink(picture: Image.Image) -> Ink:
    """Return the darkest channel's darkness, (H, W), in [0, 1]."""
    darkness: Ink = 1 - np.asarray(picture, dtype=np.float32).min(axis=2) / 255
    return darkness


def _frame_of(ink: Ink) -> tuple[int, int, int, int] | None:
    """Return the window to look at, left, top, right, bottom; `None` is all of the canvas."""
    drawn = np.where(ink > PAPER, ink, 0)
    if not drawn.any():
        return None
    (left, right), (top, bottom) = (_extent(drawn.sum(axis=axis)) for axis in (0, 1))
    height, width = ink.shape
    longer = max((right - left) / width, (bottom - top) / height)
    if longer >= SMALL:
        return None
    share = longer / FRAMED
    wide, high = (max(round(share * side), 1) for side in (width, height))
    x, y = (left + right - wide) // 2, (top + bottom - high) // 2
    return x, y, x + wide, y + high


def _extent(amounts: Ink) -> tuple[int, int]:
    """Return the first and one after the last place of nearly all that `amounts` hold."""
    below = np.cumsum(amounts) / amounts.sum()
    return int(np.searchsorted(below, STRAY, "right")), int(np.searchsorted(below, 1 - STRAY)) + 1


def _gain(ink: Ink) -> float:
    """Return what makes the darker lines black."""
    darkest = float(ink.max())
    if darkest < PAPER:
        return 1.0
    return BLACK / float(np.percentile(ink[ink > darkest / 4], 90))
