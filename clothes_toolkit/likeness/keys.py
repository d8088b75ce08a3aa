"""Perceptual hashes of miniatures, as they are and as they would be after a small shift or crop.

A hash is pHash's: the signs, about their median, of the 64 lowest frequencies of a cosine
transform (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). A
plain pHash of an image shifted by three percent differs in a third of its bits. So the middle of
one image is looked for among the middles of others as they would be had they been shifted or
cropped: windows. A transform of a window is linear in the pixels, so a window is two small
matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from clothes_toolkit.likeness.miniature import SIDE

Floats = NDArray[np.float32]
Hashes = NDArray[np.uint64]

FREQUENCIES = 8
MARGIN = 0.06
"""Share left out on each side of a window, so that all windows lie within the image."""
SHIFTS = (-0.03, 0.0, 0.03)
ZOOMS = (1.0, 0.95)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an image: its middle moved by `dx`, `dy` of the side and scaled by `zoom`."""

    dx: float = 0.0
    dy: float = 0.0
    zoom: float = 1.0


MIDDLE = Window()


def windows() -> Iterator[Window]:
    """Return the windows that are searched, the plain middle first."""
    yield MIDDLE
    for zoom in ZOOMS:
        for dy in SHIFTS:
            for dx in SHIFTS:
                if (window := Window(dx, dy, zoom)) != MIDDLE:
                    yield window


def coefficients(brightness: Floats, window: Window) -> Floats:
    """Return the lowest frequencies of a window.

    Args:
        brightness: (N, 32, 32).
        window: which part of them.

    Returns: (N, 64), of unit length but for the first frequency, the mean, which is left at 0.
    """
    rows = _transform(window.dy, window.zoom)
    columns = _transform(window.dx, window.zoom)
    found = (rows @ brightness @ columns.T).reshape(len(brightness), -1)
    found[:, 0] = 0
    lengths = np.sqrt(np.square(found).sum(axis=1, keepdims=True))
    unit: Floats = found / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


def hashes(coefficients: Floats) -> Hashes:
    """Return the 64-bit hashes (N,) of coefficients (N, 64)."""
    bits = coefficients > np.median(coefficients[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False
    packed: Hashes = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return packed


@cache
def _transform(move: float, zoom: float) -> Floats:
    """Return the matrix (8, 32) from a line of pixels to the frequencies of a window of it."""
    half = (0.5 - MARGIN) * zoom
    edges = (0.5 + move + np.linspace(-half, half, SIDE + 1)) * SIDE
    pixels = np.arange(SIDE)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    cells = np.maximum(covered, 0)
    cells /= cells.sum(axis=1, keepdims=True)
    places = np.arange(SIDE) + 0.5
    cosines = np.cos(np.pi / SIDE * np.outer(np.arange(FREQUENCIES), places))
    matrix: Floats = (cosines @ cells).astype(np.float32)
    return matrix
