"""Costs of words and of pairs of words, found by 64-bit hashes of them, many at a time.

That two of a million words and pairs have the same hash happens once in some 10^7 such sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio, odd: multiplying by it spreads a key over the high bits (Knuth, TAOCP 3)."""
FILTER_BITS = 22
"""High bits of a key that tell most of those that are not there."""
_SHIFT = np.uint64(64 - FILTER_BITS)


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs by hash."""

    keys: Keys
    """Ascending, each once, (n,)."""
    costs: NDArray[np.float64]
    """(n,)."""

    @classmethod
    def of(cls, keys: Keys, costs: NDArray[np.float64]) -> "Costs":
        """From keys in any order; of equal keys the last one's cost holds."""
        order = np.argsort(keys, kind="stable")
        ascending = keys[order]
        last = np.flatnonzero(np.append(ascending[1:] != ascending[:-1], len(keys) > 0))
        return cls(ascending[last], costs[order[last]])

    def with_keys(self, keys: Keys, cost: float) -> "Costs":
        """With further keys of one cost, in any order; those that are here keep theirs."""
        known, _ = self.find(keys)
        new = np.unique(np.delete(keys, known))
        at = np.searchsorted(self.keys, new)
        return Costs(np.insert(self.keys, at, new), np.insert(self.costs, at, cost))

    def find(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places of the keys (m,) that are here, ascending, and their costs."""
        likely = np.flatnonzero(self._filter[keys >> _SHIFT])
        if not len(self.keys):
            return likely, self.costs
        at = np.searchsorted(self.keys, keys[likely]).clip(max=len(self.keys) - 1)
        there = np.flatnonzero(self.keys[at] == keys[likely])
        return likely[there], self.costs[at[there]]

    @cached_property
    def _filter(self) -> NDArray[np.bool_]:
        found = np.zeros(1 << FILTER_BITS, np.bool_)
        found[self.keys >> _SHIFT] = True
        return found


def hash_more(keys: Keys, letters: Keys) -> Keys:
    """Hashes (n,) of texts with a letter added to each; no letters have the hash 0.

    A letter counts from 1, or a NUL would leave the hash of no letters as it is.
    """
    found: Keys = (keys ^ (letters + np.uint64(1))) * MULTIPLIER
    return found ^ (found >> np.uint64(32))


def hash_pair(ones: Keys, others: Keys) -> Keys:
    """Hashes (n,) of words, each behind another one."""
    found: Keys = (ones * MULTIPLIER + others) * MULTIPLIER
    return found


def hash_words(words: Sequence[str]) -> Keys:
    """Hashes (n,) of words."""
    letters = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    first = np.cumsum(lengths) - lengths
    keys = np.zeros(len(lengths), np.uint64)
    for place in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths > place)
        keys[going] = hash_more(keys[going], letters[first[going] + place].astype(np.uint64))
    return keys
