"""A vocabulary seen through a set of shards: which post carries which labels, and where it lies.

The index is made anew for every run, from the hashtags in the shards; images are not touched. It
holds about 30 bytes a post in memory, shared by all workers of a node. Files that cannot be read
are left out and named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray

from hashnext.errors import DataError
from hashnext.hashtags.view import LabelView
from hashnext.patience import patiently
from hashnext.posts.identity import held_out, post_keys
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder

Ints = NDArray[np.int64]
_NO_POSTS = pa.schema(
    [("row_group", pa.int64()), ("row", pa.int64()), ("key", pa.uint64()),
     ("labels", pa.list_(pa.int32()))]
).empty_table()  # fmt: skip
"""What `label_file` returns of a file without labels."""
_IN_ORDER = [("row_group", "ascending"), ("row", "ascending")]


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
    lost_files: dict[str, str] = field(default_factory=dict)
    """Files of the shards that cannot be read, by name, and the error; none of their posts is here,
    nor among `unlabelled`."""

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
            self.unlabelled, self.lost_files,
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


def build_index(
    shards: Folder, manifest: Manifest, view: LabelView, lost: Mapping[str, str] | None = None
) -> LabelIndex:
    """Apply a vocabulary to all the shards, one Ray task a file.

    Args:
        shards, manifest: the posts.
        view: the vocabulary.
        lost: `lost_files` of a run when it began, which it goes on without; None leaves out what
            cannot be read now.

    Raises:
        DataError: no file can be read, or one cannot that is not `lost`.
    """
    numbers = [n for n, file in enumerate(manifest.files) if not lost or file.name not in lost]
    dataset = ray.data.from_blocks([pa.table({"file": [n]}) for n in numbers]).map_batches(
        _label_if_readable,
        fn_kwargs={"shards": shards, "manifest": manifest, "view": view},
        batch_size=1,
    )
    pieces = list(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    labelled = pa.concat_tables([_NO_POSTS, *pieces])
    again, unreadable = _look_again(labelled, shards, manifest, numbers, view)
    if unreadable and (lost is not None or len(unreadable) == len(manifest.files)):
        name, error = next(iter(unreadable.items()))
        when = ", and could be when the run began; put it back" if lost is not None else ""
        raise DataError(f"shards {shards.location}: {name} cannot be read{when} ({error})")
    if again:
        labelled = pa.concat_tables([labelled, *again]).sort_by(_IN_ORDER)
    gone = dict(lost or unreadable)
    posts = sum(file.rows for file in manifest.files if file.name not in gone)
    return _merge(labelled, posts, gone)


def _label_if_readable(
    batch: dict[str, Any], shards: Folder, manifest: Manifest, view: LabelView
) -> pa.Table:
    """Ray Data task: `label_file` of file number `batch["file"]`; no rows if it cannot be read."""
    try:
        return label_file(int(batch["file"][0]), shards, manifest, view)
    except (OSError, pa.ArrowInvalid):
        return _NO_POSTS


def _look_again(
    labelled: pa.Table, shards: Folder, manifest: Manifest, numbers: list[int], view: LabelView
) -> tuple[list[pa.Table], dict[str, str]]:
    """Labels of the files that showed none, which are few; and those that cannot be read, why."""
    first = np.cumsum([0, *(len(file.row_groups) for file in manifest.files)])
    seen = np.searchsorted(first, pc.unique(labelled["row_group"]).to_numpy(), "right") - 1
    tables, unreadable = [], {}
    for number in sorted({*numbers}.difference(seen.tolist())):
        try:
            tables.append(label_file(number, shards, manifest, view))
        except (OSError, pa.ArrowInvalid) as error:
            unreadable[manifest.files[number].name] = f"{type(error).__name__}: {error}"
    return tables, unreadable


def label_file(number: int, shards: Folder, manifest: Manifest, view: LabelView) -> pa.Table:
    """The labels of the posts of file number `number`.

    Returns:
        Rows (row_group, row, key, labels) of the posts with a label.

    Raises:
        OSError, pa.ArrowInvalid: the file cannot be read, or is not what the manifest says.
    """
    file = manifest.files[number]
    table = patiently(lambda: pq.read_table(
        shards.file(file.name), columns=["post_id", "hashtags"], filesystem=shards.filesystem,
        page_checksum_verification=True,
    ))  # fmt: skip
    if table.num_rows != file.rows:
        raise pa.ArrowInvalid(f"{table.num_rows} posts, {file.rows} in the manifest")
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
        },
        schema=_NO_POSTS.schema,
    )


def _merge(table: pa.Table, posts: int, lost: dict[str, str]) -> LabelIndex:
    table = table.combine_chunks()
    lists = table["labels"].combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    return LabelIndex(
        row_groups=table["row_group"].to_numpy().astype(np.int64),
        rows=table["row"].to_numpy().astype(np.int64),
        keys=table["key"].to_numpy().astype(np.uint64),
        offsets=lists.offsets.to_numpy().astype(np.int64),
        labels=lists.flatten().to_numpy().astype(np.int32),
        unlabelled=posts - table.num_rows,
        lost_files=lost,
    )
