"""The second, stronger look: lay one miniature over another and see what remains.

Small shifts and changes of scale are found by least squares, a few Gauss-Newton steps on all pairs
at once, with the gradients of the fixed image (Baker and Matthews, "Lucas-Kanade 20 Years On",
2004). Two pictures of one thing then agree almost to the grey level; two plain T-shirts do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clothes_toolkit.likeness.keys import Floats, Window
from clothes_toolkit.likeness.miniature import SIDE

MARGIN = 3
"""Pixels left out around the fixed image: a shift or crop brought other things in there."""
STEPS = 5
LARGEST_SHIFT, LARGEST_SCALING = 0.045 * SIDE, 0.085
DAMPING, LEAST = np.float32(1e-5), np.float32(1e-3)

_FIXED = slice(MARGIN, SIDE - MARGIN)
_CENTER = (SIDE - 1) / 2
_PLACES = np.arange(MARGIN, SIDE - MARGIN, dtype=np.float32) - np.float32(_CENTER)


def _smoother() -> Floats:
    """Return the matrix (32, 32) that smooths a line of pixels; edges are continued."""
    matrix = np.zeros((SIDE, SIDE), np.float32)
    for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
        np.add.at(matrix, (_LINE, np.clip(_LINE + offset, 0, SIDE - 1)), weight / 16)
    return matrix


_LINE = np.arange(SIDE)
_SMOOTHER = _smoother()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well each of N pairs agrees once aligned.

    Attributes:
        correlation: (N,) of the pixels, -1 to 1.
        gain: (N,) contrast of the moved image over that of the fixed one.
        offset: (N,) difference of their mean brightness, in grey levels.
    """

    correlation: Floats
    gain: Floats
    offset: Floats


def blurred(brightness: Floats) -> Floats:
    """Return images (N, 32, 32) a little smoothed, so that they can be moved by part of a pixel."""
    smoothed: Floats = np.matmul(np.matmul(_SMOOTHER, brightness), _SMOOTHER.T)
    return smoothed


def agreement(moved: Floats, fixed: Floats, starts: Sequence[Window]) -> Agreement:
    """Align each moved image to its fixed one, from its start, and say how well they agree.

    Args:
        moved: (N, 32, 32), blurred.
        fixed: (N, 32, 32), blurred.
        starts: the window of each moved image that resembles the middle of its fixed one.
    """
    count = len(moved)
    target = fixed[:, _FIXED, _FIXED]
    basis = _basis(fixed)
    inverse = _inverse_of_squares(basis)
    motion = np.array([[w.dx * SIDE, w.dy * SIDE, w.zoom - 1, w.zoom - 1] for w in starts])
    motion = motion.astype(np.float32).reshape(count, 4)
    limit = np.array([LARGEST_SHIFT] * 2 + [LARGEST_SCALING] * 2, np.float32)
    for _ in range(STEPS):
        seen = _warp(moved, motion).reshape(count, -1, 1)
        change = (inverse @ (basis @ seen))[:, :, 0]
        gain = np.clip(change[:, 4:5], 0.5, 2)
        motion = np.clip(motion - change[:, :4] / gain, -limit, limit)
    return _compare(_warp(moved, motion), target)


def _basis(fixed: Floats) -> Floats:
    """Return, per pixel of the middle, what motion, gain and offset change there: (N, 6, P)."""
    down, across = (np.gradient(fixed, axis=axis)[:, _FIXED, _FIXED] for axis in (1, 2))
    target = fixed[:, _FIXED, _FIXED]
    changes = [across, down, across * _PLACES, down * _PLACES[:, None], target]
    return np.stack([*changes, np.ones_like(target)], axis=1).reshape(len(fixed), 6, -1)


def _inverse_of_squares(basis: Floats) -> Floats:
    squares = basis @ basis.transpose(0, 2, 1)
    # A flat image leaves the motion open; it then stays small.
    diagonal = np.einsum("nii->ni", squares)
    damping = (DAMPING * diagonal + LEAST).astype(np.float32)
    damped = squares + np.eye(6, dtype=np.float32) * damping[:, None, :]
    return np.linalg.inv(damped).astype(np.float32)


def _warp(images: Floats, motion: Floats) -> Floats:
    """Return the fixed image's places (N, P, P) in images moved by (dx, dy, scale x, scale y)."""
    across = _interpolation(_PLACES * (1 + motion[:, 2:3]) + motion[:, 0:1] + _CENTER)
    down = _interpolation(_PLACES * (1 + motion[:, 3:4]) + motion[:, 1:2] + _CENTER)
    warped: Floats = np.matmul(np.matmul(down, images), across.transpose(0, 2, 1))
    return warped


def _interpolation(places: Floats) -> Floats:
    """Return the matrices (N, P, 32) that read a line at places between its pixels."""
    distance = np.abs(np.clip(places, 0, SIDE - 1)[:, :, None] - np.arange(SIDE, dtype=np.float32))
    weights: Floats = np.maximum(0, 1 - distance)
    return weights


def _compare(seen: Floats, target: Floats) -> Agreement:
    means = seen.mean((1, 2)), target.mean((1, 2))
    seen = seen - means[0][:, None, None]
    target = target - means[1][:, None, None]
    both = (seen * target).sum((1, 2))
    squares = (seen * seen).sum((1, 2)), (target * target).sum((1, 2))
    tiny = np.float32(1e-6)
    return Agreement(
        both / np.sqrt(squares[0] * squares[1] + tiny),
        both / (squares[1] + tiny),
        means[0] - means[1],
    )
