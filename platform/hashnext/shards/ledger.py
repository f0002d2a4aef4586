"""The sample ledger: one number per canonical stream that proves what a run has consumed.

Each stream's hash takes in (epoch, post key, repeat) in order, so two runs agree if and only if
they consumed the same samples in the same order, whatever the number of workers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashnext.shards.draws import words

MODULUS = (1 << 127) - 1
MULTIPLIER = 0x2545F4914F6CDD1D9E3779B97F4A7C15


@dataclass
class Ledger:
    """Hash and count per stream."""

    hashes: list[int]
    counts: list[int]

    @classmethod
    def empty(cls, streams: int) -> "Ledger":
        """The ledger of a run that has consumed nothing."""
        return cls([0] * streams, [0] * streams)

    def add(
        self,
        streams: NDArray[np.int64],
        epochs: NDArray[np.int64],
        keys: NDArray[np.uint64],
        repeats: NDArray[np.int64],
    ) -> None:
        """Take in consumed samples, in order; all arrays (n,)."""
        sample = words(epochs, keys, repeats)
        for stream, word in zip(streams.tolist(), sample.tolist(), strict=True):
            self.hashes[stream] = (self.hashes[stream] * MULTIPLIER + word + 1) % MODULUS
            self.counts[stream] += 1

    def merged(self, others: list["Ledger"]) -> "Ledger":
        """The ledger of all workers; each stream must have been advanced by one of them only."""
        whole = Ledger(list(self.hashes), list(self.counts))
        for other in others:
            for stream, count in enumerate(other.counts):
                if count > whole.counts[stream]:
                    whole.counts[stream] = count
                    whole.hashes[stream] = other.hashes[stream]
        return whole

    @property
    def digest(self) -> str:
        """One hexadecimal number for the whole run."""
        value = 0
        for number in self.hashes:
            value = (value * MULTIPLIER + number) % MODULUS
        return f"{value:032x}"

    @property
    def samples(self) -> int:
        """Samples consumed."""
        return sum(self.counts)
