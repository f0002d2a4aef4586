"""What is asked of a stream, and what it gives. No Ray, so that training does without it, too."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from hashnext.errors import ConfigError
from hashnext.shards.order import Ints, Samples

SPARE = 1.25
"""Row groups kept in memory, as a multiple of those read by turns: they end one by one."""


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How samples are drawn and loaded."""

    size: int = 224
    """Side of the square crops, in pixels."""
    min_crop_area: float = 0.08
    """Smallest share of an image that a random crop covers (Szegedy et al. 2015, section 6)."""
    streams: int = 32
    """Canonical streams, the workers' shares: at least as many as workers. A batch draws from at
    least half as many row groups."""
    lanes: int = 8
    """Row groups that a stream reads by turns. Streams x lanes are read at a time; with as many as
    the batch has images, a batch is like a random draw. A decoder keeps its worker's share of them
    in memory, each some 3 MB at a short side of 256 px."""
    decoders: int = 0
    """Decoding actors per worker; 0 takes a share of the CPUs of the nodes without a GPU, or of all
    nodes where there is no such difference; at most 16."""

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ConfigError("stream.size", self.size, "must be at least 8 pixels")
        if not 0 < self.min_crop_area <= 1:
            raise ConfigError("stream.min-crop-area", self.min_crop_area, "must lie in (0, 1]")
        if self.streams < 1:
            raise ConfigError("stream.streams", self.streams, "must be at least 1")
        if self.lanes < 1:
            raise ConfigError("stream.lanes", self.lanes, "must be at least 1")
        if self.decoders < 0:
            raise ConfigError("stream.decoders", self.decoders, "must not be negative")

    def cached_row_groups(self, world: int) -> int:
        """Row groups that a decoder keeps: its worker's share of those read by turns, and some."""
        return ceil(ceil(self.streams / world) * self.lanes * SPARE)


@dataclass(frozen=True)
class Batch:
    """A worker's share of one global batch."""

    images: NDArray[np.uint8]
    """uint8 (b, size, size, 3), RGB."""
    offsets: Ints
    """int64 (b + 1,): start of each sample's labels."""
    labels: NDArray[np.int32]
    """int32 (assignments,): label ids."""
    flips: NDArray[np.bool_]
    """bool (b,): samples to mirror."""
    keys: NDArray[np.uint64]
    samples: Samples
    skipped: dict[int, str]
    """Row groups with samples that could not be read, and the error; those samples are left out."""
    missing: dict[str, int]
    """Posts of these samples: key in hexadecimal, and row group."""

    def __len__(self) -> int:
        return len(self.images)
