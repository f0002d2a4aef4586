"""Pairs of 64-bit hashes that differ in at most a few bits, found without comparing all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index
Hashing", CVPR 2012): of the 4 bands of 16 bits, at least one differs in at most radius / 4 bits,
so only hashes that nearly agree in a band are compared. Nothing within the radius is missed.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

BANDS = 4
BAND_BITS = 16
AT_ONCE = 1 << 22
"""Comparisons made at a time, 100 MB."""

Rows = NDArray[np.int64]


def pairs_within(
    queries: NDArray[np.uint64], index: NDArray[np.uint64], radius: int
) -> Iterator[tuple[Rows, Rows, NDArray[np.uint8]]]:
    """Pieces of all pairs at a Hamming distance of at most `radius`; a pair may come repeatedly.

    Args:
        queries: (q,).
        index: (n,).
        radius: 0 to 63 bits; the cost grows with the steps at multiples of 4.

    Yields:
        Rows of `queries`, rows of `index` and distances, (p,) each.
    """
    masks = _masks(radius // BANDS)
    for band in range(BANDS):
        shift = np.uint64(band * BAND_BITS)
        keys = _band(index, shift)
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], np.arange((1 << BAND_BITS) + 1))
        for mask in masks:
            wanted = _band(queries, shift) ^ mask
            for query, place in _expanded(starts[wanted], starts[wanted + 1]):
                row = order[place]
                distance = np.bitwise_count(queries[query] ^ index[row])
                near = distance <= radius
                yield query[near], row[near], distance[near]


def _band(hashes: NDArray[np.uint64], shift: np.uint64) -> Rows:
    return ((hashes >> shift) & np.uint64((1 << BAND_BITS) - 1)).astype(np.int64)


def _masks(bits: int) -> list[int]:
    """All band values with at most `bits` bits set."""
    places = range(BAND_BITS)
    chosen = (c for count in range(bits + 1) for c in combinations(places, count))
    return [sum(1 << place for place in c) for c in chosen]


def _expanded(low: Rows, high: Rows) -> Iterator[tuple[Rows, Rows]]:
    """(i, j) for every i and every j in low[i]..high[i], in pieces of about AT_ONCE."""
    some = np.flatnonzero(high > low)
    ends = np.cumsum(high[some] - low[some])
    start = 0
    while start < len(some):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + AT_ONCE, side="right")))
        piece = some[start:stop]
        count = high[piece] - low[piece]
        first = np.repeat(np.cumsum(count) - count, count)
        yield np.repeat(piece, count), np.arange(len(first)) - first + np.repeat(low[piece], count)
        start = stop
