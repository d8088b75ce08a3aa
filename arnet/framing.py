"""How pictures are laid out for a network: by what they show, in lines that can be seen.

Sketches come in every size and weight. One in a corner of a large canvas leaves most patches blank,
one that fills its canvas lies otherwise than the garment in its photo, and resizing fades lines
that are thinner than a pixel of the result. So what a picture shows is put in the middle, as large
on a sketch as on its photo.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAMED = 0.9
"""Share of the canvas that the longer side of what is shown covers."""
FILLED = 0.98
"""What covers this share both ways has no background around it to cut or to add to."""
STRAY = 0.001
"""Share of the ink that may lie beyond each edge of a drawing: specks of dust."""
PAPER = 16 / 255
"""What differs everywhere by less than this share of white from the background is not there."""
BLACK = 0.9
"""Share of black that the darker lines of a drawing have at least."""
EXACT = 512
"""Pixels of the longer side at which edges are looked for."""

Side = Literal["sketch", "photo"]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the canvas."""
Color = tuple[int, ...]
Values = NDArray[np.float32]


def frame(
    picture: Image.Image, size: tuple[int, int], resample: Image.Resampling, side: Side
) -> Image.Image:
    """Resize a picture (RGB) to `size` = (width, height), framed by what it shows.

    That comes to lie in the middle and covers `FRAMED` of the canvas; the proportions of the canvas
    stay. Faint lines of a sketch (dark on light) become black, all by the same factor.
    """
    box, background = shown(picture)
    if min(box[2] - box[0], box[3] - box[1]) < FILLED:
        picture = _window(picture, box, background)
    small = picture.resize(size, resample)
    return _darkened(small) if side == "sketch" else small


def shown(picture: Image.Image) -> tuple[Box, Color]:
    """Return where a picture (RGB) differs from its background, and the color of that.

    The background is what most of the border is. A picture that is all background shows all of it.
    """
    pixels = np.asarray(picture.reduce(max(max(picture.size) // EXACT, 1)), dtype=np.float32)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = np.median(border, axis=0)
    different = np.abs(pixels - background).max(axis=2) / 255
    different[different <= PAPER] = 0
    if different.any():
        (left, right), (top, bottom) = (_extent(different.sum(axis=axis)) for axis in (0, 1))
    else:
        left, top, right, bottom = 0.0, 0.0, 1.0, 1.0
    return (left, top, right, bottom), tuple(round(float(level)) for level in background)


def _extent(amounts: Values) -> tuple[float, float]:
    """Return the shares of a side between which nearly all lies that `amounts` hold along it."""
    below = np.cumsum(amounts, dtype=np.float64) / amounts.sum(dtype=np.float64)
    first, last = np.searchsorted(below, STRAY, "right"), np.searchsorted(below, 1 - STRAY) + 1
    return float(first / len(amounts)), float(last / len(amounts))


def _window(picture: Image.Image, box: Box, background: Color) -> Image.Image:
    """Return what lies around the middle of `box`, with the proportions of the canvas."""
    share = max(box[2] - box[0], box[3] - box[1]) / FRAMED
    width, height = picture.size
    left = round((box[0] + box[2] - share) / 2 * width)
    top = round((box[1] + box[3] - share) / 2 * height)
    size = max(round(share * width), 1), max(round(share * height), 1)
    # A crop alone would fill what lies beyond the canvas with black.
    window = Image.new("RGB", size, background)
    window.paste(picture, (-left, -top))
    return window


def _darkened(small: Image.Image) -> Image.Image:
    darkness = 1 - np.asarray(small, dtype=np.float32).min(axis=2) / 255
    darkest = float(darkness.max())
    if darkest < PAPER:
        return small
    gain = BLACK / float(np.percentile(darkness[darkness > darkest / 4], 90))
    if gain <= 1:
        return small
    levels = [round(max(255 - gain * (255 - value), 0)) for value in range(256)]
    return small.point(levels * len(small.getbands()))
