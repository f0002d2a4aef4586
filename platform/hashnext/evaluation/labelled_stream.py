"""Labelled images that are read batch by batch, for sets that do not fit into memory.

ImageNet's validation set is 50,000 images of 6.7 GB. It may be Parquet as `labelled` describes it,
or image files in folders as `labelled_folder` does.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from hashnext.errors import DataError
from hashnext.evaluation.labelled import ids_and_labels, open_dataset, read_columns

BUFFER = 4 << 20
"""Bytes of a Parquet column that are read at once; else it would be a whole row group."""


@dataclass(frozen=True, kw_only=True)
class LabelledStream:
    """Images with one label each, in an order that does not change."""

    ids: list[str]
    labels: NDArray[np.int64]
    """(n,)."""
    listing: str
    """SHA-256 over ids, labels and the sizes of files: tells sets apart before they are read."""
    read: Callable[[int], Iterator[list[bytes]]]
    """The encoded images in order, at most so many at a time."""

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int) -> Iterator[list[bytes]]:
        """The encoded images in order, at most `size` at a time."""
        return self.read(size)


def stream_parquet(location: str) -> LabelledStream:
    """A labelled Parquet file or folder; ids and labels are read now, the images later.

    Raises:
        DataError: nothing is there, it is no Parquet, it holds no rows, or a value is missing or
            out of its range.
        SchemaError: a column is missing or has the wrong type.
    """
    dataset = open_dataset(location)
    ids, labels = ids_and_labels(location, read_columns(location, dataset, ("id", "label")))
    sizes = [info.size for info in dataset.filesystem.get_file_info(dataset.files)]
    return LabelledStream(
        ids=ids, labels=labels, listing=listing(ids, labels, sizes),
        read=partial(_parquet_batches, dataset.filesystem, dataset.files),
    )  # fmt: skip


def listing(ids: Sequence[str], labels: NDArray[np.int64], sizes: Sequence[int]) -> str:
    """SHA-256 over ids, labels and sizes in bytes."""
    return hashlib.sha256(json.dumps([ids, labels.tolist(), sizes]).encode()).hexdigest()


def _parquet_batches(
    filesystem: fs.FileSystem, files: Sequence[str], size: int
) -> Iterator[list[bytes]]:
    for path in files:
        with filesystem.open_input_file(path) as stream:
            file = pq.ParquetFile(stream, buffer_size=BUFFER, pre_buffer=False)
            for batch in file.iter_batches(size, columns=["image"]):
                images = batch.column("image")
                if images.null_count:
                    raise DataError(f"{path}: column 'image' has nulls; every row needs one")
                yield images.to_pylist()
