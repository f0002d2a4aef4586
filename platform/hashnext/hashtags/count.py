"""Counting over all training posts as Ray Data work: partial sums per unit, added in the driver.

Memory follows the number of distinct keys, not of posts, and the sums do not depend on how the
posts are cut into units. Private posts are never read, held-out ones never counted; the hashtags
that only held-out posts carry are met all the same, with a count of 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from hashnext.hashtags.view import LabelView, contains, spans
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource
from hashnext.posts.tags import encode

TASKS_PER_CPU = 4
MIN_TASK_POSTS = 200_000
"""Posts below which a Ray task is not worth its handling, about a tenth of a second's counting."""


class Tally(Protocol):
    """Counts something in some posts; picklable."""

    def __call__(self, hashtags: pa.ChunkedArray, training: pa.BooleanArray) -> pa.Table:
        """Lists of tags (n,) as a table of `key` and int64 columns to be summed by it.

        Args:
            hashtags: `ENCODED_TAGS`; the dictionary holds their tags and no other.
            training: false for held-out posts.
        """


def tally(source: PostSource, count: Tally) -> pa.Table:
    """Sums of `count` over the public posts of a source: `key` and its columns, sorted by key."""
    work = partial(_tally_units, source=source, count=count)
    parts = ray.data.from_arrow(_shares(source)).map_batches(
        work, batch_size=None, batch_format="pyarrow"
    )
    return _total(parts.iter_batches(batch_size=None, batch_format="pyarrow")).sort_by("key")


def public_hashtags(source: PostSource, unit: int) -> tuple[pa.ChunkedArray, pa.BooleanArray]:
    """The tag lists of a unit's public posts, and which of these posts are not held out."""
    table = source.public_tags(source.units[unit])
    return table["hashtags"], pa.array(~held_out(post_keys(table["post_id"])))


@dataclass(frozen=True)
class CountTags:
    """Training posts per hashtag as written; the null key counts all training posts."""

    def __call__(self, hashtags: pa.ChunkedArray, training: pa.BooleanArray) -> pa.Table:
        """`key` string, `posts`."""
        rows, codes, distinct = encode(hashtags)
        counted = training.to_numpy(zero_copy_only=False)[rows]
        rows, codes, size = rows[counted], codes[counted], len(distinct)
        tags = np.sort(rows * size + codes)
        again = tags[1:][np.diff(tags) == 0] % size if size else codes
        posts = np.bincount(codes, minlength=size) - np.bincount(again, minlength=size)
        keys = pa.concat_arrays([distinct, pa.nulls(1, pa.string())])
        return pa.table({"key": keys, "posts": np.append(posts, training.true_count)})


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
        found, posts = np.unique(keys, return_counts=True)
        wanted = contains(self.pairs, found)
        return pa.table({"key": found[wanted], "posts": posts[wanted]})


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


def _shares(source: PostSource) -> list[pa.Table]:
    """Numbers of units, one table for each task.

    A few tasks for every CPU keep all of them busy to the end; fewer, where they would be so small
    that Ray takes longer to handle them than they run.
    """
    units, posts = len(source.units), source.rows or 0
    by_cpus = TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1))
    num_tasks = min(units, by_cpus, max(posts // MIN_TASK_POSTS, 1) if posts else by_cpus)
    return [pa.table({"unit": share}) for share in np.array_split(np.arange(units), num_tasks)]


def _tally_units(batch: pa.Table, source: PostSource, count: Tally) -> pa.Table:
    return _total(count(*public_hashtags(source, unit)) for unit in batch["unit"].to_pylist())


def _total(parts: Iterable[pa.Table]) -> pa.Table:
    """The sum of at least one table; holds little more than twice its size on the way."""
    total, waiting, rows = None, [], 0
    for part in parts:
        waiting.append(part)
        rows += part.num_rows
        if total is None or rows > total.num_rows:
            total, waiting, rows = _added([total, *waiting] if total else waiting), [], 0
    assert total is not None
    return _added([total, *waiting]) if waiting else total


def _added(tables: list[pa.Table]) -> pa.Table:
    """Sums of tables by their keys."""
    columns = tables[0].column_names[1:]
    groups = pa.concat_tables(tables).group_by("key")
    sums = groups.aggregate([(column, "sum") for column in columns])
    return pa.table({"key": sums["key"], **{name: sums[f"{name}_sum"] for name in columns}})
