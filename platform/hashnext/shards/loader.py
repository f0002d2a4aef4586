"""Load samples: read rows of shards, decode, crop. Runs in Ray Data actors; imports no torch."""

from collections import OrderedDict
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashnext.images import crop
from hashnext.images.decode import RGB, DecodeLimits
from hashnext.images.region import decode_region
from hashnext.patience import patiently
from hashnext.shards.draws import uniforms
from hashnext.shards.index import LabelIndex
from hashnext.shards.manifest import Manifest
from hashnext.shards.order import Samples
from hashnext.storage import Folder

CROP_DRAW = 5  # what a draw is for, beside those of shards.order


@dataclass(frozen=True)
class ShardReader:
    """Random access to images by (row group, row), with a cache; picklable while unused."""

    shards: Folder
    manifest: Manifest
    cached: int
    """Row groups kept in memory, those used last: enough for all that are read by turns."""
    cache: OrderedDict[int, pa.ChunkedArray]
    lost: dict[int, Exception]
    """Row groups that could not be read however often they were tried, and why: none of their other
    samples waits for that again."""

    @classmethod
    def of(cls, shards: Folder, manifest: Manifest, cached: int) -> "ShardReader":
        """A reader with an empty cache."""
        return cls(shards, manifest, cached, OrderedDict(), {})

    def image(self, row_group: int, row: int) -> bytes:
        """Encoded image of one post; what may pass, such as a busy object store, is waited for.

        Raises:
            OSError: the file cannot be read, or a page's checksum is wrong.
            ValueError: it is no Parquet file.
        """
        if row_group in self.lost:
            raise copy(self.lost[row_group])  # what is raised keeps hold of who raised it
        if row_group not in self.cache:
            try:
                self.cache[row_group] = patiently(lambda: self._read(row_group))
            except (OSError, ValueError) as error:
                self.lost[row_group] = copy(error)
                raise
            if len(self.cache) > self.cached:
                self.cache.popitem(last=False)
        self.cache.move_to_end(row_group)
        return bytes(self.cache[row_group][row].as_py())

    def _read(self, row_group: int) -> pa.ChunkedArray:
        name, group, _ = self.manifest.row_groups()[row_group]
        with pq.ParquetFile(
            self.shards.file(name),
            filesystem=self.shards.filesystem,
            page_checksum_verification=True,
        ) as file:
            return file.read_row_group(group, columns=["image"])["image"]


@dataclass(frozen=True)
class Crops:
    """How an image becomes (size, size, 3)."""

    size: int
    seed: int | None
    """Seed of the random crops; None crops the centre."""
    min_area: float = 1.0
    """Smallest share of the image that a random crop covers."""

    def __call__(self, data: bytes, limits: DecodeLimits, draw: NDArray[np.float64]) -> RGB:
        """Decode and crop one image; `draw` is float64 (ATTEMPTS + 1, 2)."""

        if self.seed is None:
            return decode_region(data, limits, crop.centre_box, self.size)

        def box(width: int, height: int) -> crop.Box:
            return crop.random_crop_box(width, height, self.min_area, draw)

        return decode_region(data, limits, box, self.size, crop.crop_quickly)

    def draws(self, keys: NDArray[np.uint64], samples: Samples) -> NDArray[np.float64]:
        """Uniforms of every sample, float64 (n, ATTEMPTS + 1, 2)."""
        places = np.arange((crop.ATTEMPTS + 1) * 2)
        drawn = uniforms(
            self.seed or 0, samples.epochs[:, None], keys[:, None], samples.repeats[:, None],
            CROP_DRAW, places,
        )  # fmt: skip
        return drawn.reshape(len(samples), crop.ATTEMPTS + 1, 2)


def load(
    reader: ShardReader, index: LabelIndex, samples: Samples, crops: Crops, limits: DecodeLimits
) -> dict[str, Any]:
    """Images of some samples.

    Returns:
        image: uint8 (n, size, size, 3); zeros where the sample could not be read.
        post, epoch, repeat, stream: int64 (n,), as in `samples`.
        error: text (n,); empty where the sample is sound.
    """
    images = np.zeros((len(samples), crops.size, crops.size, 3), dtype=np.uint8)
    errors = [""] * len(samples)
    draws = crops.draws(index.keys[samples.posts], samples)
    for i, post in enumerate(samples.posts):
        try:
            data = reader.image(int(index.row_groups[post]), int(index.rows[post]))
            images[i] = crops(data, limits, draws[i])
        except (OSError, ValueError) as error:
            errors[i] = f"{type(error).__name__}: {error}"
    return {
        "image": images, "post": samples.posts, "epoch": samples.epochs,
        "repeat": samples.repeats, "stream": samples.streams, "error": np.array(errors),
    }  # fmt: skip
