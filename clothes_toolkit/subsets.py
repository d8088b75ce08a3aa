"""Which sums a bag of sizes can make."""

from __future__ import annotations

from collections import Counter


def sum_is_possible(sizes: Counter[int], wanted: int) -> bool:
    """Whether some of the things, so many of each size, have `wanted` as the sum of their sizes."""
    if wanted < 0:
        return False
    # The usual case at once: enough things of size 1.
    return sizes[1] >= wanted or bool(_sums(sizes, wanted) >> wanted & 1)


def nearest_sum(sizes: Counter[int], wanted: int, largest: int) -> int:
    """Return the possible sum nearest to `wanted`, at most `largest`; the smaller of two."""
    if wanted <= 0:
        return 0
    sums = _sums(sizes, max(0, largest))
    possible = (number for number in range(sums.bit_length()) if sums >> number & 1)
    return min(possible, key=lambda number: (abs(number - wanted), number))


def _sums(sizes: Counter[int], largest: int) -> int:
    """Return a number whose bit n tells whether n, up to `largest`, is a possible sum."""
    mask = (1 << (largest + 1)) - 1
    sums = 1
    for size, count in sorted(sizes.items()):
        step = 1
        # Counts are taken apart into powers of two, so that many things of a size are few shifts.
        while count > 0:
            taken = min(step, count)
            sums |= (sums << (size * taken)) & mask
            count -= taken
            step *= 2
    return sums
