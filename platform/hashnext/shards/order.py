"""The order of a run: one total order of samples, a pure function of seed, posts and factors.

The order is epoch after epoch, and an epoch is pass after pass, nothing in between being flushed.

- **Passes** keep the repeats of a post apart. No post comes twice in a pass, nor in two passes
  that follow each other, so between two repeats lies at least one whole pass.
- **Streams** are the workers' shares: sample k of the run belongs to stream k mod S, and a worker
  of W reads the streams r, r + W, .... In a pass the row groups are permuted, and each stream
  reads its own 1/S of them.
- **Lanes** mix inside a stream: it reads K places of its share by turns. What is read to its end at
  such a place is a part of a row group: all of it in a large corpus, a few random rows in a small
  one, where whole row groups would leave too few to choose from.

What holds for every seed (tests/unit/test_order.py):

1. If every pass of an epoch has at least B - 1 samples, no batch of B holds a post twice from that
   epoch. (Where two epochs meet, a batch may hold a post once from each.)
2. If no row group has more than floor(n / S) of a pass's n samples, any S consecutive samples of
   that pass come from at least S / 2 row groups: each of them is another stream's, and a row group
   lies in the shares of two neighbouring streams at most. So does a batch of 2 S or more that spans
   the border of two such passes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashnext.shards.draws import uniforms, words
from hashnext.shards.resampling import Floats, stochastic_round

Ints = NDArray[np.int64]

KEPT = 65_536
"""Samples that stay readable behind the latest read."""
PARTS_PER_LANE = 16
"""Parts of row groups that a lane reads in a pass, where the corpus has as many."""
PART_ROWS = 8
"""Rows below which no part falls on average: each part may cost a read."""
ROUNDING, PART, TURN, PHASE, GROUP_RANK, PART_RANK, JITTER = 1, 2, 3, 4, 7, 8, 9
"""What a draw is for."""


@dataclass(frozen=True)
class Samples:
    """Some samples of a run, in order; all arrays (n,)."""

    posts: Ints
    """Position of the post among the training posts."""
    epochs: Ints
    repeats: Ints
    streams: Ints

    def __len__(self) -> int:
        return len(self.posts)

    def where(self, mask: NDArray[np.bool_]) -> "Samples":
        """The samples that the mask selects."""
        return Samples(self.posts[mask], self.epochs[mask], self.repeats[mask], self.streams[mask])


@dataclass(frozen=True)
class Epoch:
    """One epoch in order."""

    start: int
    """Number of its first sample in the run."""
    posts: Ints
    """int64 (samples,)."""
    repeats: Ints
    """Which repeat of the post it is, from 0, int64 (samples,)."""
    passes: Ints
    """Number of the pass, int64 (samples,), ascending."""

    @property
    def stop(self) -> int:
        """Number of the next epoch's first sample."""
        return self.start + len(self.posts)


class Order:
    """Access to the total order of a run; quick where it is read forward, by and large."""

    def __init__(
        self,
        *,
        keys: NDArray[np.uint64],
        row_groups: Ints,
        factors: Floats,
        seed: int,
        streams: int,
        lanes: int,
    ) -> None:
        """
        Args:
            keys: key of every training post, uint64 (n,).
            row_groups: number of the row group that holds it, int64 (n,), ascending.
            factors: expected repeats in an epoch, float64 (n,), at least 1.
            seed: seed of the run.
            streams: number of canonical streams.
            lanes: places of its share that a stream reads by turns.
        """
        assert len(keys) > 0
        self.keys, self.factors = keys, factors
        self.groups = np.unique(row_groups, return_inverse=True)[1].astype(np.int64)
        self.seed, self.streams, self.lanes = seed, streams, lanes
        self._held: list[tuple[int, Epoch]] = []
        self._next = (0, 0)

    def take(self, start: int, stop: int) -> Samples:
        """Samples start..stop of the run; Ray may run an actor's tasks a little out of order."""
        self._hold(start, stop)
        pieces = []
        for number, epoch in self._held:
            part = slice(max(start - epoch.start, 0), max(stop - epoch.start, 0))
            posts, repeats = epoch.posts[part], epoch.repeats[part]
            pieces.append((posts, np.full_like(posts, number), repeats))
        posts, epochs, repeats = (np.concatenate(column) for column in zip(*pieces, strict=True))
        assert len(posts) == stop - start
        return Samples(posts, epochs, repeats, np.arange(start, stop) % self.streams)

    def share(self, start: int, stop: int, rank: int, world: int) -> Samples:
        """What worker `rank` of `world` reads of samples start..stop of the run."""
        samples = self.take(start, stop)
        return samples.where(samples.streams % world == rank)

    def epoch(self, epoch: int, start: int = 0) -> Epoch:
        """One epoch, whose first sample has the number `start` in the run."""
        counts = self._counts(epoch)
        posts = np.repeat(np.arange(len(counts)), counts)
        repeats = np.arange(len(posts)) - np.repeat(np.cumsum(counts) - counts, counts)
        parts, passes = self._visits(epoch, counts, posts, repeats)
        order, places = self._deal(epoch, posts, passes, parts)
        dealt = np.empty_like(order)
        dealt[places] = order
        return Epoch(start, posts[dealt], repeats[dealt], passes[dealt])

    def _counts(self, epoch: int) -> Ints:
        return stochastic_round(self.factors, uniforms(self.seed, epoch, self.keys, ROUNDING))

    def _visits(self, epoch: int, counts: Ints, posts: Ints, repeats: Ints) -> tuple[Ints, Ints]:
        """Part of each post (n,), and pass of each sample (samples,).

        A part is visited in as many passes as its most repeated post has repeats, and in no more;
        its other posts are spread over these visits. With twice as many passes as the largest
        count, no two visits come in neighbouring passes.
        """
        passes = 2 * int(counts.max()) if counts.max() > 1 else 1
        cuts = self._cuts(passes)
        parts = self.groups * cuts + _below(cuts, self.seed, epoch, self.keys, PART)
        visits = np.ones(int(parts.max()) + 1, dtype=np.int64)
        np.maximum.at(visits, parts, counts)
        first = _below(visits[parts], self.seed, epoch, self.keys, TURN)
        shift = _below(counts, self.seed, epoch, self.keys, TURN, 1)
        of = parts[posts]
        visit = (first[posts] + (repeats * visits[of] + shift[posts]) // counts[posts]) % visits[of]
        numbers = np.arange(len(visits))
        home = np.empty_like(numbers)
        home[np.argsort(words(self.seed, epoch, numbers, PHASE))] = numbers * passes // len(numbers)
        offset = _below(visits, self.seed, epoch, numbers, PHASE, 1)
        return parts, (home[of] + (visit * passes + offset[of]) // visits[of]) % passes

    def _cuts(self, passes: int) -> int:
        """Parts that a row group is cut into, so that all lanes have enough to read in a pass."""
        groups = int(self.groups[-1]) + 1
        wanted = -(-PARTS_PER_LANE * self.streams * self.lanes * passes // groups)
        return max(1, min(wanted, len(self.groups) // (groups * PART_ROWS)))

    def _deal(self, epoch: int, posts: Ints, passes: Ints, parts: Ints) -> tuple[Ints, Ints]:
        """Samples in the order of reading, and the place of each in the epoch, both (samples,)."""
        groups = self.groups[posts]
        order = np.lexsort((words(self.seed, epoch, passes, groups, GROUP_RANK), passes))
        sizes = np.bincount(passes)
        size, start = (np.repeat(a, sizes) for a in (sizes, np.cumsum(sizes) - sizes))
        stream, offset = span(np.arange(len(posts)) - start, size, self.streams)
        rank = words(self.seed, epoch, passes, parts[posts], PART_RANK)[order]
        jitter = words(self.seed, epoch, self.keys[posts], JITTER)[order]
        order = order[np.lexsort((jitter, rank, stream, passes[order]))]
        share = size // self.streams + (stream < size % self.streams)
        lane, turn = span(offset, share, self.lanes)
        return order, start + stream + self.streams * (lane + self.lanes * turn)

    def _hold(self, start: int, stop: int) -> None:
        """Have the epochs of start..stop at hand, and forget those far behind.

        What has been forgotten and is asked for again is laid out anew, from the first epoch on.
        """
        if self._held and start < self._held[0][1].start:
            self._held, self._next = [], (0, 0)
        number, first = self._next
        while first < stop:
            size = int(self._counts(number).sum())
            if first + size > start - KEPT:
                self._held.append((number, self.epoch(number, first)))
            number, first = number + 1, first + size
        self._next = number, first
        self._held = [held for held in self._held if held[1].stop > start - KEPT]


def span(index: Ints, size: Ints, parts: int) -> tuple[Ints, Ints]:
    """Where items lie when `size` items are cut into `parts` runs, longer ones first.

    Args:
        index: numbers of the items, int64 (n,), in 0..size.
        size: how many there are, int64 (n,).
        parts: number of runs; their lengths differ by one at most.

    Returns:
        Number of the run, and place inside it, both int64 (n,).
    """
    short, longer = size // parts, size % parts
    border = longer * (short + 1)
    beyond = index >= border
    width = np.where(beyond, np.maximum(short, 1), short + 1)
    within = np.where(beyond, index - border, index)
    return np.where(beyond, longer, 0) + within // width, within % width


def _below(limit: Ints | int, *parts: object) -> Ints:
    """Draws in 0..limit, int64."""
    return (uniforms(*parts) * limit).astype(np.int64)
