"""Counting over all training posts as Ray Data work: partial sums per unit, added in the driver.

Memory follows the number of distinct keys, not of posts, and the sums do not depend on how the
posts are cut into units. Private posts are never read, held-out ones never counted; the hashtags
that only held-out posts carry are met all the same, with a count of 0.
"""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from hashnext.hashtags.view import LabelView, encode, spans
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource


class Tally(Protocol):
    """Counts something in some posts; picklable."""

    def __call__(self, hashtags: pa.ChunkedArray, training: pa.BooleanArray) -> pa.Table:
        """Lists of tags (n,) as a table of `key` and int64 columns to be summed by it.

        `training` (n,) is false for held-out posts.
        """


def tally(source: PostSource, count: Tally) -> pa.Table:
    """Sums of `count` over the public posts of a source: `key` and its columns, sorted by key."""
    units = [pa.table({"unit": [index]}) for index in range(len(source.units))]
    work = partial(_tally_units, source=source, count=count)
    parts = ray.data.from_arrow(units).map_batches(work, batch_size=None, batch_format="pyarrow")
    total: pa.Table | None = None
    for part in parts.iter_batches(batch_size=None, batch_format="pyarrow"):
        total = _added(part if total is None else pa.concat_tables([total, part]))
    assert total is not None
    return total.sort_by("key")


def public_hashtags(source: PostSource, unit: int) -> tuple[pa.ChunkedArray, pa.BooleanArray]:
    """The tag lists of a unit's public posts, and which of these posts are not held out."""
    table = source.read(source.units[unit], ["post_id", "hashtags", "public"])
    table = table.filter(table["public"])
    return table["hashtags"], pa.array(~held_out(post_keys(table["post_id"])))


@dataclass(frozen=True)
class CountTags:
    """Training posts per hashtag as written; the null key counts all training posts."""

    def __call__(self, hashtags: pa.ChunkedArray, training: pa.BooleanArray) -> pa.Table:
        """`key` string, `posts`."""
        rows, codes, distinct = encode(hashtags)
        counted = training.to_numpy(zero_copy_only=False)[rows]
        rows, codes, size = rows[counted], codes[counted], max(len(distinct), 1)
        posts = np.bincount(np.unique(rows * size + codes) % size, minlength=len(distinct))
        keys = pa.array([*distinct, None], pa.string())
        return pa.table(
            {"key": keys, "posts": np.append(posts[: len(distinct)], training.true_count)}
        )


@dataclass(frozen=True)
class CountTogether:
    """Training posts that carry both tags of a pair; the key is first * V + second."""

    tags: LabelView
    """Numbers the tags; has no ancestors."""
    pairs: NDArray[np.int64]
    """Keys of the pairs wanted, ascending."""

    def __call__(self, hashtags: pa.ChunkedArray, training: pa.BooleanArray) -> pa.Table:
        """`key` int64, `posts`."""
        offsets, ids = self.tags.assign(hashtags.filter(training))
        lengths = np.diff(offsets)
        starts, stops = np.repeat(offsets[:-1], lengths), np.repeat(offsets[1:], lengths)
        seconds = ids[spans(starts, stops)]
        keys = np.repeat(ids.astype(np.int64), stops - starts) * self.tags.num_labels + seconds
        found, posts = np.unique(keys[np.isin(keys, self.pairs)], return_counts=True)
        return pa.table({"key": found, "posts": posts})


@dataclass(frozen=True)
class CountLabels:
    """Training posts per label after the view; the null key counts all, and those with a label."""

    view: LabelView

    def __call__(self, hashtags: pa.ChunkedArray, training: pa.BooleanArray) -> pa.Table:
        """`key` int64, `posts` with the label, `covered` with it or a label below it."""
        assigned = self.view.assign(hashtags.filter(training))
        _, implied = self.view.with_ancestors(assigned)
        size = self.view.num_labels
        labelled = np.count_nonzero(np.diff(assigned[0]))
        return pa.table({
            "key": pa.array([*range(size), None], pa.int64()),
            "posts": np.append(np.bincount(assigned[1], minlength=size), training.true_count),
            "covered": np.append(np.bincount(implied, minlength=size), labelled),
        })  # fmt: skip


def _tally_units(batch: pa.Table, source: PostSource, count: Tally) -> pa.Table:
    units = batch["unit"].to_pylist()
    return _added(pa.concat_tables([count(*public_hashtags(source, unit)) for unit in units]))


def _added(table: pa.Table) -> pa.Table:
    columns = table.column_names[1:]
    sums = table.group_by("key").aggregate([(column, "sum") for column in columns])
    return pa.table({"key": sums["key"], **{name: sums[f"{name}_sum"] for name in columns}})
