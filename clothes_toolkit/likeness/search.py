"""Which hashes are near which: all pairs of 64-bit hashes within a Hamming distance.

A few thousand are compared each with each. Of more, only those are compared that agree, but for
one bit at most, in one of four bands of 16 bits: hashes at most 7 apart always do. At 8 apart the
pairs are missed whose differences fall two in each band. Where hashes crowd so much that bands
leave nearly all pairs to compare, each is compared with each again, and nothing is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clothes_toolkit.likeness.keys import Hashes

Indices = NDArray[np.int64]
Near = tuple[Indices, Indices]
"""Indices of queries, and of the hashes near them."""

BANDS, BAND_BITS = 4, 16
ALL_WITH_ALL = 4_000_000
"""Comparisons up to which bands are not worth the sorting."""
GATHERED = 8.0
"""What a comparison of two hashes picked out costs, in comparisons of hashes in line."""
AT_ONCE = 1 << 21
"""Comparisons that are held in memory at a time."""
ROWS, TILE = 64, 2048
"""Queries and hashes that are compared at a time; they fit a core's cache."""


class HashIndex:
    """Hashes to look for others among."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = hashes

    def near(self, queries: Hashes, radius: int) -> Iterator[Near]:
        """Yield the pairs of a query and a hash at most `radius` bits apart, in batches."""
        compared = len(queries) * len(self.hashes)
        search = _in_bands if self._worth_bands(queries, compared) else _all_with_all
        yield from search(self, queries, radius)

    def pairs(self, radius: int) -> Iterator[Near]:
        """Yield the pairs of hashes at most `radius` bits apart, the first index below the second.

        In batches; memory is bounded however many pairs there are.
        """
        compared = len(self.hashes) ** 2 // 2
        if not self._worth_bands(self.hashes, compared):
            yield from _all_with_all(self, self.hashes, radius, among_themselves=True)
            return
        for first, second in _in_bands(self, self.hashes, radius):
            ordered = first < second
            if ordered.any():
                yield first[ordered], second[ordered]

    @cached_property
    def bands(self) -> list[_Band]:
        """The hashes sorted by each band."""
        return [_Band.of(self.hashes, number) for number in range(BANDS)]

    def _worth_bands(self, queries: Hashes, compared: int) -> bool:
        if compared <= ALL_WITH_ALL:
            return False
        return GATHERED * sum(band.comparisons(queries) for band in self.bands) < compared


def _all_with_all(
    index: HashIndex, queries: Hashes, radius: int, *, among_themselves: bool = False
) -> Iterator[Near]:
    hashes = index.hashes
    tile = min(TILE, len(hashes))
    for left in range(0, len(hashes), tile):
        others = hashes[left : left + tile]
        end = left + len(others) if among_themselves else len(queries)
        apart = np.empty((ROWS, len(others)), np.uint64)
        bits = np.empty((ROWS, len(others)), np.uint8)
        for top in range(0, end, ROWS):
            some = queries[top : min(top + ROWS, end), None]
            np.bitwise_xor(some, others, out=apart[: len(some)])
            np.bitwise_count(apart[: len(some)], out=bits[: len(some)])
            found = np.flatnonzero(bits[: len(some)] <= radius)
            if not len(found):
                continue
            first, second = top + found // len(others), left + found % len(others)
            if among_themselves:
                first, second = first[first < second], second[first < second]
            yield first, second


@dataclass(frozen=True)
class _Band:
    """Hashes sorted by 16 of their bits.

    Attributes:
        number: which 16 bits.
        order: indices of the hashes, sorted by those bits.
        starts: (65537,) where in `order` each value of the bits begins.
    """

    number: int
    order: Indices
    starts: Indices

    @classmethod
    def of(cls, hashes: Hashes, number: int) -> _Band:
        values = _band_values(hashes, number)
        counts = np.bincount(values, minlength=1 << BAND_BITS)
        return cls(
            number, np.argsort(values, kind="stable"), np.concatenate([[0], np.cumsum(counts)])
        )

    def comparisons(self, queries: Hashes) -> int:
        """Return how many hashes all queries together would be compared with."""
        counts = np.diff(self.starts)
        values = np.arange(1 << BAND_BITS)
        around = sum(counts[values ^ flip] for flip in _FLIPS)
        return int(np.sum(around[_band_values(queries, self.number)]))


_FLIPS = (0, *(1 << bit for bit in range(BAND_BITS)))


def _in_bands(index: HashIndex, queries: Hashes, radius: int) -> Iterator[Near]:
    for band in index.bands:
        values = _band_values(queries, band.number)
        for flip in _FLIPS:
            begins, ends = band.starts[values ^ flip], band.starts[(values ^ flip) + 1]
            for some in _portions(ends - begins):
                first, second = _expand(some, begins[some], ends[some], band.order)
                apart = queries[first] ^ index.hashes[second]
                close = np.bitwise_count(apart) <= radius
                first, second, apart = first[close], second[close], apart[close]
                # A pair that an earlier band has in common, too, was found there.
                for earlier in range(band.number):
                    new = np.bitwise_count(_band_values(apart, earlier)) > 1
                    first, second, apart = first[new], second[new], apart[new]
                if len(first):
                    yield first, second


def _portions(counts: Indices) -> Iterator[slice]:
    """Cut a row of counts where their sum reaches what is held in memory at a time."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = total[start - 1] if start else 0
        stop = int(np.searchsorted(total, before + AT_ONCE, side="right"))
        yield slice(start, max(stop, start + 1))
        start = max(stop, start + 1)


def _expand(some: slice, begins: Indices, ends: Indices, order: Indices) -> Near:
    """Return each query beside every hash between its begin and its end."""
    counts = ends - begins
    first = np.repeat(np.arange(some.start, some.stop), counts)
    offsets = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, order[np.repeat(begins, counts) + offsets]


def _band_values(hashes: Hashes, number: int) -> Indices:
    shifted = hashes >> np.uint64(number * BAND_BITS)
    return (shifted & np.uint64((1 << BAND_BITS) - 1)).astype(np.int64)
