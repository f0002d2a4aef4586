"""Counting over all training posts as Ray Data work: partial sums per share, added in the driver.

The driver's memory follows the number of distinct keys, not of posts, which lie in Ray's object
store (`hashtags.corpus`); the sums do not depend on how the posts are cut into shares.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashnext.hashtags.corpus import Corpus, lists_of
from hashnext.hashtags.view import LabelView, Ragged, spans
from hashnext.posts.tags import TagLists


class Tally(Protocol):
    """Counts something in some training posts; picklable."""

    def __call__(self, lists: TagLists) -> pa.Table:
        """Different tags of each post as a table of `key` and int64 columns to be summed by it."""


def tally(corpus: Corpus, count: Tally) -> pa.Table:
    """Sums of `count` over the posts of a corpus: `key` and its columns, sorted by key."""
    parts = corpus.shares.map_batches(
        partial(_tally_shares, count=count), batch_size=None, batch_format="pyarrow"
    )
    batches = iter(parts.iter_batches(batch_size=None, batch_format="pyarrow"))
    first = next(batches, None)  # Ray leaves out tables without rows
    return total(chain([count(_no_posts()) if first is None else first], batches)).sort_by("key")


def _no_posts() -> TagLists:
    none = np.zeros(0, np.int64)
    return TagLists(none, none.astype(np.int32), pa.array([], pa.string()), 0)


@dataclass(frozen=True)
class CountTags:
    """Posts per hashtag as written, 0 where none is left; the null key counts all posts."""

    def __call__(self, lists: TagLists) -> pa.Table:
        """`key` string, `posts`."""
        posts = np.bincount(lists.codes, minlength=len(lists.distinct))
        keys = pa.concat_arrays([lists.distinct, pa.nulls(1, pa.string())])
        return pa.table({"key": keys, "posts": np.append(posts, lists.size)})


@dataclass(frozen=True)
class CountTogether:
    """Posts that carry both tags of a pair; the key is smaller * V + larger."""

    tags: LabelView
    """Numbers the tags; has no ancestors."""
    pairs: NDArray[np.int64]
    """Keys of the pairs wanted, ascending."""

    def __call__(self, lists: TagLists) -> pa.Table:
        """`key` int64, `posts`."""
        offsets, ids = self.tags.label(lists)
        keys = np.sort(pairs_within(offsets, ids, self.tags.num_labels))
        first = np.searchsorted(keys, self.pairs, "left")
        last = np.searchsorted(keys, self.pairs, "right")
        met = last > first
        return pa.table({"key": self.pairs[met], "posts": (last - first)[met]})


def pairs_within(
    offsets: NDArray[np.int64], ids: NDArray[np.int32], size: int
) -> NDArray[np.int64]:
    """smaller * size + larger of every two ids of a row, and of every id with itself.

    Args:
        offsets: (n + 1,), row i has ids[offsets[i] : offsets[i + 1]], ascending.
        ids: (m,), each below `size`.
        size: number of different ids.
    """
    starts, stops = np.arange(len(ids)), np.repeat(offsets[1:], np.diff(offsets))
    found: NDArray[np.int64] = np.repeat(ids.astype(np.int64), stops - starts) * size
    return found + ids[spans(starts, stops)]


@dataclass(frozen=True)
class CountLabels:
    """Posts per label after the view; the null key counts all, and those with a label."""

    view: LabelView

    def __call__(self, lists: TagLists) -> pa.Table:
        """`key` int64, `posts` with the label, `covered` with it or a label below it."""
        assigned, implied = self.view.label_and_shown(lists)
        size = self.view.num_labels
        labelled = np.count_nonzero(np.diff(assigned[0]))
        return pa.table({
            "key": pa.array([*range(size), None], pa.int64()),
            "posts": np.append(np.bincount(assigned[1], minlength=size), lists.size),
            "covered": np.append(np.bincount(implied, minlength=size), labelled),
        })  # fmt: skip


@dataclass(frozen=True)
class CountUse:
    """Posts with a tag and a label, and with a label at all; a Tally.

    The key is tag * V + label; the number behind the last tag stands for any post.
    """

    tags: LabelView
    """Numbers the tags; has no ancestors."""
    labels: LabelView

    def __call__(self, lists: TagLists) -> pa.Table:
        """`key` int64, `posts`."""
        labels, size = self.labels.label(lists), self.labels.num_labels
        any_post = labels[1].astype(np.int64) + self.tags.num_labels * size
        return _times(np.concatenate([beside(self.tags.label(lists), labels, size), any_post]))


@dataclass(frozen=True)
class CountCompany:
    """Posts with one of some labels and any label; the key is its place among them * V + label."""

    labels: LabelView
    chosen: NDArray[np.int64]
    """Ids of the labels, ascending."""

    def __call__(self, lists: TagLists) -> pa.Table:
        """`key` int64, `posts`."""
        offsets, ids = self.labels.label(lists)
        place = np.full(self.labels.num_labels, -1, np.int32)
        place[self.chosen] = np.arange(len(self.chosen))
        places = place[ids]
        found = np.concatenate([[0], np.cumsum(places >= 0)])[offsets]
        ours = found, places[places >= 0]
        return _times(beside(ours, (offsets, ids), self.labels.num_labels))


def beside(ours: Ragged, theirs: Ragged, size: int) -> NDArray[np.int64]:
    """our * size + their id for every two ids that stand in the same row; theirs are below size."""
    offsets, ids = theirs
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(ours[0]))
    starts, stops = offsets[rows], offsets[rows + 1]
    keys: NDArray[np.int64] = np.repeat(ours[1].astype(np.int64), stops - starts) * size
    return keys + ids[spans(starts, stops)]


def _times(keys: NDArray[np.int64]) -> pa.Table:
    """How often each of some keys >= 0 occurs: `key` int64, ascending, and `posts`."""
    small = keys.max(initial=0) <= np.iinfo(np.int32).max  # sorted in two thirds of the time
    met = np.sort(keys.astype(np.int32) if small else keys)
    first = np.flatnonzero(np.diff(met, prepend=-1))
    counts = np.diff(first, append=len(met))
    return pa.table({"key": met[first].astype(np.int64), "posts": counts})


def _tally_shares(shares: pa.Table, count: Tally) -> pa.Table:
    return total(count(lists) for lists in lists_of(shares))


def total(parts: Iterable[pa.Table]) -> pa.Table:
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
    groups = pa.concat_tables(tables).group_by("key", use_threads=False)
    sums = groups.aggregate([(column, "sum") for column in columns])
    return pa.table({"key": sums["key"], **{name: sums[f"{name}_sum"] for name in columns}})
