"""The order of a run: one total order of samples, a pure function of seed, posts and factors.

An epoch is P passes over the permuted row groups, P being the largest repeat count in it. The n
repeats of a post fall into n evenly spaced passes, so they are spread over the epoch. The pieces
(pass, row group) are dealt to S canonical streams, and sample k of the run is the next sample of
stream k mod S: a batch draws from S row groups, and a worker of W reads the streams r, r + W, ....
Epochs do not flush: each stream goes on into the next epoch by itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashnext.shards.draws import uniforms, words
from hashnext.shards.resampling import Floats, stochastic_round

Ints = NDArray[np.int64]

KEPT = 65_536
"""Samples of a stream that stay readable behind the latest read."""
ROUNDING, PHASE, PERMUTATION, JITTER = 1, 2, 3, 4  # what a draw is for


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


class Order:
    """Access to the total order of a run, forward but for some thousand samples a stream."""

    def __init__(
        self,
        *,
        keys: NDArray[np.uint64],
        row_groups: Ints,
        factors: Floats,
        seed: int,
        streams: int,
    ) -> None:
        """
        Args:
            keys: key of every training post, uint64 (n,).
            row_groups: number of the row group that holds it, int64 (n,), ascending.
            factors: expected repeats in an epoch, float64 (n,), at least 1.
            seed: seed of the run.
            streams: number of canonical streams.
        """
        assert len(keys) > 0
        self.keys, self.row_groups, self.factors = keys, row_groups, factors
        self.seed, self.streams = seed, streams
        self._next_epoch = 0
        self._next_piece = 0
        empty = np.empty((0, 3), dtype=np.int64)
        self._queues = [empty] * streams
        self._dropped = [0] * streams

    def take(self, start: int, stop: int) -> Samples:
        """Samples start..stop of the run; Ray may run an actor's tasks a little out of order."""
        numbers = np.arange(start, stop)
        streams = numbers % self.streams
        rows = np.empty((len(numbers), 3), dtype=np.int64)
        for stream in range(self.streams):
            mine = streams == stream
            rows[mine] = self._read(stream, numbers[mine] // self.streams)
        return Samples(rows[:, 0], rows[:, 1], rows[:, 2], streams)

    def epoch(self, epoch: int) -> tuple[Ints, Ints, Ints]:
        """One epoch as it lies before dealing: (posts, repeats, pieces), all (samples,)."""
        draw = uniforms(self.seed, epoch, self.keys, ROUNDING)
        counts = stochastic_round(self.factors, draw)
        posts = np.repeat(np.arange(len(counts)), counts)
        repeats = np.arange(len(posts)) - np.repeat(np.cumsum(counts) - counts, counts)
        passes = int(counts.max())
        phase = uniforms(self.seed, epoch, self.keys, PHASE)
        turn = (phase[posts] + repeats / counts[posts]) % 1.0
        passage = np.minimum((turn * passes).astype(np.int64), passes - 1)
        rank = words(self.seed, epoch, self.row_groups, PERMUTATION)
        jitter = words(self.seed, epoch, self.keys[posts], repeats, JITTER)
        order = np.lexsort((jitter, rank[posts], passage))
        posts, repeats, passage = posts[order], repeats[order], passage[order]
        groups = self.row_groups[posts]
        starts = (np.diff(passage, prepend=-1) != 0) | (np.diff(groups, prepend=-1) != 0)
        return posts, repeats, np.cumsum(starts) - 1

    def _read(self, stream: int, offsets: Ints) -> Ints:
        if not len(offsets):
            return np.empty((0, 3), dtype=np.int64)
        while self._dropped[stream] + len(self._queues[stream]) <= offsets[-1]:
            self._append_epoch()
        old = max(int(offsets[0]) - self._dropped[stream] - KEPT, 0)
        self._queues[stream] = self._queues[stream][old:]
        self._dropped[stream] += old
        assert offsets[0] >= self._dropped[stream], "an order is read forward, by and large"
        return self._queues[stream][offsets - self._dropped[stream]]

    def _append_epoch(self) -> None:
        posts, repeats, pieces = self.epoch(self._next_epoch)
        rows = np.stack([posts, np.full_like(posts, self._next_epoch), repeats], axis=1)
        stream_of = (self._next_piece + pieces) % self.streams
        for stream in range(self.streams):
            self._queues[stream] = np.concatenate([self._queues[stream], rows[stream_of == stream]])
        self._next_epoch += 1
        self._next_piece += int(pieces[-1]) + 1
