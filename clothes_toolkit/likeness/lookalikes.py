"""Which of many images look the same.

Three sieves, each stronger and dearer than the one before: hashes (`search`), the frequencies that
the hashes are made of, and the images laid over one another (`alignment`). Pairs that are already
one group through others are not looked at again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from clothes_toolkit.groups import Groups
from clothes_toolkit.likeness.alignment import agreement, blurred
from clothes_toolkit.likeness.keys import MIDDLE, Floats, Window, coefficients, hashes, windows
from clothes_toolkit.likeness.miniature import SIDE
from clothes_toolkit.likeness.search import HashIndex, Indices

THREADS = min(4, os.cpu_count() or 1)
"""NumPy computes outside of Python's lock; more threads would want more memory."""
RADIUS = 8
BATCH = 1024
"""Pairs that are laid over one another at a time."""
TRIES = 4
"""Pairs between two groups that are laid over one another before the two are kept apart."""
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

    def __add__(self, others: _Candidates) -> _Candidates:
        return _joined_up([self, others])

    @property
    def ends(self) -> NDArray[np.int64]:
        """Both indices of each pair: (2, N)."""
        return np.stack([self.moved, self.fixed])


_WINDOWS = tuple(windows())


def find_lookalikes(miniatures: Sequence[bytes], look: Look) -> list[Lookalike]:
    """Return the pairs that join images which look the same, mirror images last.

    Not every pair of a group is named, only enough of them to connect it; mirror images are looked
    for among the first of each group. The result depends on nothing but the miniatures and their
    order.
    """
    if len(miniatures) < 2:
        return []
    packed = np.frombuffer(b"".join(miniatures), np.uint8).reshape(len(miniatures), -1)
    every = np.arange(len(packed))
    groups: Groups[int] = Groups()
    found = list(_joined(packed, every, look, groups, mirrored=False))
    if look.mirrors:
        firsts = every[[groups.find(one) == one for one in every.tolist()]]
        found += _joined(packed, firsts, look, groups, mirrored=True)
    return found


def lookalikes_of(miniature: bytes, others: Sequence[bytes], look: Look) -> list[int]:
    """Return the places of all others that look the same as one image, mirror images aside."""
    if not others:
        return []
    packed = np.frombuffer(b"".join([miniature, *others]), np.uint8).reshape(1 + len(others), -1)
    near = _near_first(packed)
    # A group needs one pair only; here each pair is asked for by itself.
    return [place - 1 for place in near if find_lookalikes([miniature, others[place - 1]], look)]


def _near_first(packed: NDArray[np.uint8]) -> list[int]:
    """Return the images whose hash is near the first one's, in any window of either."""
    found: set[int] = set()
    middle = hashes(_frequencies(packed, MIDDLE, mirrored=False))
    for window in _WINDOWS:
        moved = hashes(_frequencies(packed, window, mirrored=False))
        apart = np.minimum(np.bitwise_count(moved[0] ^ middle), np.bitwise_count(moved ^ middle[0]))
        found.update(np.flatnonzero(apart <= RADIUS).tolist())
    return sorted(found - {0})


def _joined(
    packed: NDArray[np.uint8], some: Indices, look: Look, groups: Groups[int], *, mirrored: bool
) -> Iterator[Lookalike]:
    """Yield pairs of some of the images that look the same and join two groups; joins them.

    In rounds, as Boruvka builds a forest: the best pair of each group is looked at. Pairs within a
    group need no look, and those between two groups that failed `TRIES` times get none.
    """
    candidates = _candidates(packed, some, look, mirrored)
    candidates = candidates[_colors_agree(packed, candidates, look, mirrored)]
    failed = candidates[:0]
    while len(candidates):
        ends = _groups_of(groups, candidates)
        apart = ends[0] != ends[1]
        tried, times = np.unique(_one_number(_groups_of(groups, failed)), return_counts=True)
        hopeless = np.isin(_one_number(ends), tried[times >= TRIES])
        candidates, ends = candidates[apart & ~hopeless], ends[:, apart & ~hopeless]
        now = _first_of_each(ends)
        # Of a crowd in which all resemble all, a share at a time, so that rounds stay few.
        now[: len(now) // 8] = True
        pairs = candidates[now]
        candidates = candidates[~now]
        agree = _agree(packed, pairs, look, mirrored)
        failed = failed + pairs[~agree]
        for one, other in zip(*pairs[agree].ends.tolist(), strict=True):
            if groups.join(one, other):
                yield Lookalike(min(one, other), max(one, other), mirrored)


def _groups_of(groups: Groups[int], pairs: _Candidates) -> NDArray[np.int64]:
    """Return the groups (2, N) of the ends of pairs, the lower one first."""
    members, places = np.unique(pairs.ends, return_inverse=True)
    found = np.array([groups.find(member) for member in members.tolist()], np.int64)
    return np.sort(found[places.reshape(2, -1)], axis=0)


def _one_number(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each two indices (2, N)."""
    one: NDArray[np.int64] = (ends[0] << 32) + ends[1]
    return one


def _first_of_each(ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which pairs (2, N) are the first to have one of their ends."""
    _, first = np.unique(ends.T, return_index=True)
    now = np.zeros(ends.shape[1], bool)
    now[first // 2] = True
    return now


def _candidates(
    packed: NDArray[np.uint8], some: Indices, look: Look, mirrored: bool
) -> _Candidates:
    some_packed = packed[some]
    middle = _frequencies(some_packed, MIDDLE, mirrored=False)
    index = HashIndex(hashes(middle))

    def of_window(number: int) -> list[_Candidates]:
        parts = []
        seen = _frequencies(some_packed, _WINDOWS[number], mirrored)
        for moved, fixed in index.near(hashes(seen), RADIUS):
            likeness = np.einsum("nf,nf->n", seen[moved], middle[fixed])
            keep = (likeness >= look.frequencies) & (moved != fixed)
            windows_ = np.full(np.count_nonzero(keep), number)
            parts.append(
                _Candidates(some[moved[keep]], some[fixed[keep]], windows_, likeness[keep])
            )
        return parts

    with ThreadPoolExecutor(THREADS) as pool:
        return _best_of_each_pair(list(chain(*pool.map(of_window, range(len(_WINDOWS))))))


def _best_of_each_pair(parts: Sequence[_Candidates]) -> _Candidates:
    if not parts:
        nothing = np.zeros(0, np.int64)
        return _Candidates(nothing, nothing, nothing, nothing.astype(np.float32))
    every = _joined_up(parts)
    low, high = np.sort(every.ends, axis=0)
    # The order decides which pairs connect a group, so ties are settled by index.
    every = every[np.lexsort((every.window, every.moved, high, low, -every.likeness))]
    _, first = np.unique(_one_number(np.sort(every.ends, axis=0)), return_index=True)
    return every[np.sort(first)]


def _joined_up(parts: Sequence[_Candidates]) -> _Candidates:
    return _Candidates(
        np.concatenate([part.moved for part in parts]),
        np.concatenate([part.fixed for part in parts]),
        np.concatenate([part.window for part in parts]),
        np.concatenate([part.likeness for part in parts]),
    )


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


def _colors_agree(
    packed: NDArray[np.uint8], pairs: _Candidates, look: Look, mirrored: bool
) -> NDArray[np.bool_]:
    """Tell which pairs have the same colors; all of drawings have."""
    found = [np.zeros(0, bool)]
    for start in range(0, len(pairs), BLOCK):
        some = pairs[start : start + BLOCK]
        moved, fixed = packed[some.moved], packed[some.fixed]
        difference = _color_difference(_color(moved, mirrored), _color(fixed, False))
        found.append(difference <= look.color)
    return np.concatenate(found)


def _agree(
    packed: NDArray[np.uint8], pairs: _Candidates, look: Look, mirrored: bool
) -> NDArray[np.bool_]:
    """Tell which pairs look the same once one is laid over the other."""
    batches = [pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda batch: _agree_at_once(packed, batch, look, mirrored), batches)
        return np.concatenate([np.zeros(0, bool), *found])


def _agree_at_once(
    packed: NDArray[np.uint8], pairs: _Candidates, look: Look, mirrored: bool
) -> NDArray[np.bool_]:
    found = agreement(
        blurred(_brightness(packed[pairs.moved], mirrored)),
        blurred(_brightness(packed[pairs.fixed], False)),
        [_WINDOWS[number] for number in pairs.window],
    )
    gain = np.maximum(found.gain, 1 / np.maximum(found.gain, 1e-6))
    same: NDArray[np.bool_] = (
        (found.correlation >= look.correlation)
        & (gain <= look.gain)
        & (np.abs(found.offset) <= look.offset)
    )
    return same


def _color_difference(moved: NDArray[np.int16], fixed: NDArray[np.int16]) -> Floats:
    """Return how far, on average, colors lie outside the range of the same place and around it.

    The images need not be aligned for that: a shift is far smaller than a place.
    """
    if not moved.size:
        return np.zeros(len(moved), np.float32)
    inner = fixed[:, :, 1:-1, 1:-1]
    above = inner - _around(moved, np.maximum)
    below = _around(moved, np.minimum) - inner
    outside: Floats = np.maximum(np.maximum(above, below), 0).mean((1, 2, 3), dtype=np.float32)
    return outside


def _around(planes: NDArray[np.int16], choose: np.ufunc) -> NDArray[np.int16]:
    """Return the largest, or smallest, of each 3×3 places (..., side - 2, side - 2)."""
    across = choose(choose(planes[..., :-2], planes[..., 1:-1]), planes[..., 2:])
    found: NDArray[np.int16] = choose(
        choose(across[..., :-2, :], across[..., 1:-1, :]), across[..., 2:, :]
    )
    return found
