"""A vocabulary seen through a set of shards: which post carries which labels, and where it lies.

The index is made anew for every run, from the hashtags in the shards; images are not touched. It
holds about 30 bytes a post in memory, shared by all workers of a node.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray

from hashnext.hashtags.view import LabelView
from hashnext.posts.identity import held_out, post_keys
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LabelIndex:
    """Posts with at least one label, in canonical order; arrays of one row a post."""

    row_groups: Ints
    """Number of the row group in the manifest, int64 (n,), ascending."""
    rows: Ints
    """Row inside the row group, int64 (n,)."""
    keys: NDArray[np.uint64]
    """Post keys, uint64 (n,)."""
    offsets: Ints
    """Start of each post's labels in `labels`, int64 (n + 1,)."""
    labels: NDArray[np.int32]
    """Label ids, int32 (assignments,)."""
    unlabelled: int
    """Posts left out because none of their hashtags names a label."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Posts kept for evaluation, bool (n,)."""
        return held_out(self.keys)

    def subset(self, mask: NDArray[np.bool_]) -> "LabelIndex":
        """The posts that the mask selects."""
        chosen = np.flatnonzero(mask)
        offsets, labels = self.labels_of(chosen)
        return LabelIndex(
            self.row_groups[mask], self.rows[mask], self.keys[mask], offsets, labels,
            self.unlabelled,
        )  # fmt: skip

    def labels_of(self, posts: Ints) -> tuple[Ints, NDArray[np.int32]]:
        """Labels of some posts in CSR form: offsets int64 (k + 1,), ids int32 (m,)."""
        counts = (self.offsets[1:] - self.offsets[:-1])[posts]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        starts = np.repeat(self.offsets[posts] - offsets[:-1], counts)
        return offsets, self.labels[starts + np.arange(offsets[-1])]

    def rarest(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """f of each post's rarest label, float64 (n,)."""
        return np.asarray(np.minimum.reduceat(frequencies[self.labels], self.offsets[:-1]))


def build_index(shards: Folder, manifest: Manifest, view: LabelView) -> LabelIndex:
    """Apply a vocabulary to all the shards, one Ray task a file."""
    files = [pa.table({"file": [number]}) for number in range(len(manifest.files))]
    dataset = ray.data.from_blocks(files).map_batches(
        label_file,
        fn_kwargs={"shards": shards, "manifest": manifest, "view": view},
        batch_size=1,
    )
    pieces = list(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    return _merge(pieces, manifest.rows)


def label_file(
    batch: dict[str, Any], shards: Folder, manifest: Manifest, view: LabelView
) -> pa.Table:
    """Ray Data task: the labels of the posts of file number `batch["file"]`.

    Returns:
        Rows (row_group, row, key, labels) of the posts with a label.
    """
    number = int(batch["file"][0])
    file = manifest.files[number]
    table = pq.read_table(
        shards.file(file.name), columns=["post_id", "hashtags"], filesystem=shards.filesystem
    )
    offsets, labels = view.assign(table["hashtags"])
    sizes = np.asarray(file.row_groups)
    first_group = sum(len(earlier.row_groups) for earlier in manifest.files[:number])
    groups = first_group + np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(file.rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    counts = np.diff(offsets)
    keep = counts > 0
    kept_offsets = np.concatenate([[0], np.cumsum(counts[keep])]).astype(np.int32)
    return pa.table(
        {
            "row_group": groups[keep],
            "row": rows[keep],
            "key": post_keys(table["post_id"])[keep],
            "labels": pa.ListArray.from_arrays(kept_offsets, labels),
        }
    )


def _merge(pieces: list[pa.Table], posts: int) -> LabelIndex:
    table = pa.concat_tables(pieces).combine_chunks()
    lists = table["labels"].combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    return LabelIndex(
        row_groups=table["row_group"].to_numpy().astype(np.int64),
        rows=table["row"].to_numpy().astype(np.int64),
        keys=table["key"].to_numpy().astype(np.uint64),
        offsets=lists.offsets.to_numpy().astype(np.int64),
        labels=lists.flatten().to_numpy().astype(np.int32),
        unlabelled=posts - table.num_rows,
    )
