"""Which of many images look the same.

Three sieves, each stronger and dearer than the one before: hashes (`search`), the frequencies that
the hashes are made of, and the images laid over one another (`alignment`). Pairs that are already
one group through others are not looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from clothes_toolkit.groups import Groups
from clothes_toolkit.likeness.alignment import agreement, blurred
from clothes_toolkit.likeness.keys import MIDDLE, Floats, Window, coefficients, hashes, windows
from clothes_toolkit.likeness.miniature import SIDE
from clothes_toolkit.likeness.search import HashIndex, Indices

RADIUS = 8
BATCH = 2048
"""Pairs that are laid over one another at a time."""
BLOCK = 8192
"""Images whose frequencies are computed at a time."""


@dataclass(frozen=True, slots=True)
class Look:
    """When two images of one side look the same.

    Calibrated by `benchmarks/lookalikes.py`, and measured there on other images.

    Attributes:
        mirrors: whether mirror images are looked for, too.
        frequencies: the least cosine between their frequencies.
        correlation: the least correlation between their pixels once aligned.
        gain: the largest ratio of their contrasts.
        offset: the largest difference of their mean brightness, in grey levels.
        color: the largest difference of their colors, in levels of 256.
    """

    mirrors: bool
    frequencies: float
    correlation: float
    gain: float
    offset: float
    color: float


PHOTOS = Look(True, 0.93, 0.993, 1.2, 6.0, 1.2)
DRAWINGS = Look(False, 0.9, 0.965, 1.5, 12.0, 0.0)


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Two images that look the same: their indices, the first below the second."""

    first: int
    second: int
    mirrored: bool


@dataclass(frozen=True)
class _Candidates:
    """Pairs that may look the same, most alike first; arrays of one length."""

    moved: Indices
    fixed: Indices
    window: Indices
    likeness: Floats

    def __len__(self) -> int:
        return len(self.moved)

    def __getitem__(self, some: slice | NDArray[np.bool_] | Indices) -> _Candidates:
        return _Candidates(
            self.moved[some], self.fixed[some], self.window[some], self.likeness[some]
        )


_WINDOWS = tuple(windows())


def find_lookalikes(miniatures: Sequence[bytes], look: Look) -> list[Lookalike]:
    """Return the pairs that join images which look the same, mirror images last.

    Not every pair of a group is named, only enough of them to connect it. The result depends on
    nothing but the miniatures and their order.
    """
    if len(miniatures) < 2:
        return []
    packed = np.frombuffer(b"".join(miniatures), np.uint8).reshape(len(miniatures), -1)
    groups: Groups[int] = Groups()
    found = list(_joined(packed, look, groups, mirrored=False))
    if look.mirrors:
        found += _joined(packed, look, groups, mirrored=True)
    return found


def _joined(
    packed: NDArray[np.uint8], look: Look, groups: Groups[int], *, mirrored: bool
) -> Iterator[Lookalike]:
    """Yield the pairs that look the same and join two groups; joins them."""
    candidates = _candidates(packed, look, mirrored)
    for start in range(0, len(candidates), BATCH):
        some = candidates[start : start + BATCH]
        some = some[_apart(groups, some)]
        if not len(some):
            continue
        some = some[_agree(packed, some, look, mirrored)]
        for one, other in zip(some.moved.tolist(), some.fixed.tolist(), strict=True):
            if groups.join(one, other):
                yield Lookalike(min(one, other), max(one, other), mirrored)


def _apart(groups: Groups[int], pairs: _Candidates) -> NDArray[np.bool_]:
    """Tell which pairs are not in one group yet."""
    ends = zip(pairs.moved.tolist(), pairs.fixed.tolist(), strict=True)
    return np.array([groups.find(one) != groups.find(other) for one, other in ends], bool)


def _candidates(packed: NDArray[np.uint8], look: Look, mirrored: bool) -> _Candidates:
    middle = _frequencies(packed, MIDDLE, mirrored=False)
    index = HashIndex(hashes(middle))
    parts = []
    for number, window in enumerate(_WINDOWS):
        seen = _frequencies(packed, window, mirrored)
        for moved, fixed in index.near(hashes(seen), RADIUS):
            likeness = np.einsum("nf,nf->n", seen[moved], middle[fixed])
            keep = (likeness >= look.frequencies) & (moved != fixed)
            windows_ = np.full(np.count_nonzero(keep), number)
            parts.append(_Candidates(moved[keep], fixed[keep], windows_, likeness[keep]))
    return _best_of_each_pair(parts)


def _best_of_each_pair(parts: Sequence[_Candidates]) -> _Candidates:
    if not parts:
        nothing = np.zeros(0, np.int64)
        return _Candidates(nothing, nothing, nothing, nothing.astype(np.float32))
    every = _Candidates(
        np.concatenate([part.moved for part in parts]),
        np.concatenate([part.fixed for part in parts]),
        np.concatenate([part.window for part in parts]),
        np.concatenate([part.likeness for part in parts]),
    )
    low, high = np.minimum(every.moved, every.fixed), np.maximum(every.moved, every.fixed)
    # The order decides which pairs connect a group, so ties are settled by index.
    every = every[np.lexsort((every.window, every.moved, high, low, -every.likeness))]
    low, high = np.minimum(every.moved, every.fixed), np.maximum(every.moved, every.fixed)
    _, first = np.unique(low * (1 + high.max(initial=0)) + high, return_index=True)
    return every[np.sort(first)]


def _frequencies(packed: NDArray[np.uint8], window: Window, mirrored: bool) -> Floats:
    blocks = [
        coefficients(_brightness(packed[start : start + BLOCK], mirrored), window)
        for start in range(0, len(packed), BLOCK)
    ]
    return np.concatenate(blocks)


def _brightness(packed: NDArray[np.uint8], mirrored: bool) -> Floats:
    squares = packed[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE).astype(np.float32)
    return squares[:, :, ::-1] if mirrored else squares


def _color(packed: NDArray[np.uint8], mirrored: bool) -> NDArray[np.int16]:
    """Return the color differences (N, 2, side, side); empty for drawings."""
    planes = packed[:, SIDE * SIDE :].astype(np.int16)
    side = int((planes.shape[1] // 2) ** 0.5)
    planes = planes.reshape(len(packed), 2, side, side)
    return planes[:, :, :, ::-1] if mirrored else planes


def _agree(
    packed: NDArray[np.uint8], pairs: _Candidates, look: Look, mirrored: bool
) -> NDArray[np.bool_]:
    """Tell which pairs look the same once one is laid over the other."""
    moved, fixed = packed[pairs.moved], packed[pairs.fixed]
    starts = [_WINDOWS[number] for number in pairs.window]
    found = agreement(
        blurred(_brightness(moved, mirrored)), blurred(_brightness(fixed, False)), starts
    )
    gain = np.maximum(found.gain, 1 / np.maximum(found.gain, 1e-6))
    color = _color_difference(_color(moved, mirrored), _color(fixed, False))
    same: NDArray[np.bool_] = (
        (found.correlation >= look.correlation)
        & (gain <= look.gain)
        & (np.abs(found.offset) <= look.offset)
    )
    return same & (color <= look.color)


def _color_difference(moved: NDArray[np.int16], fixed: NDArray[np.int16]) -> Floats:
    """Return how far, on average, colors lie outside the range of the same place and around it.

    The images need not be aligned for that: a shift is far smaller than a place.
    """
    if not moved.size:
        return np.zeros(len(moved), np.float32)
    around = sliding_window_view(moved, (3, 3), axis=(2, 3))
    inner = fixed[:, :, 1:-1, 1:-1]
    above = inner - around.max(axis=(4, 5))
    below = around.min(axis=(4, 5)) - inner
    outside: Floats = np.maximum(np.maximum(above, below), 0).mean((1, 2, 3), dtype=np.float32)
    return outside
