"""The hashtags of a source's training posts, read once and kept by Ray as numbers.

A build asks the same posts again and again, and reading them takes far longer than answering. So
Ray Data reads them into its object store, some 30 bytes a post, which spills to disk where it is
too small; the driver holds none of them. Private posts are never read and held-out ones not kept;
the hashtags that only held-out posts carry are known all the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from hashnext.hashtags.normalise import normalised
from hashnext.hashtags.view import sorted_unique
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Unit
from hashnext.posts.tags import TagLists, encode

SHARE_POSTS = 500_000
"""Posts that a share aims at: a second of a Ray task's work to read, and tenths of one to count. In
small shares each tag would be normalised, and each count added up, many times."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Public posts that are not held out, in shares; lives as long as the Ray session."""

    shares: ray.data.Dataset
    """One row a share, `lists_of` reads it."""


def read_corpus(source: PostSource) -> Corpus:
    """Read the tags of all posts of a source with Ray Data."""
    units = ray.data.from_blocks([pa.table({"unit": share}) for share in share_out(source.units)])
    read = partial(_read_share, source=source)
    shares = units.map_batches(read, batch_size=None, batch_format="pyarrow")
    return Corpus(shares.materialize())


def share_out(units: Sequence[Unit]) -> list[NDArray[np.int64]]:
    """Numbers of units, in pieces of about `SHARE_POSTS` posts; units of unknown size alone."""
    posts = [SHARE_POSTS if unit.rows is None else unit.rows for unit in units]
    pieces = -(-np.cumsum(posts) // SHARE_POSTS)
    return np.split(np.arange(len(units)), np.flatnonzero(np.diff(pieces)) + 1)


def lists_of(shares: pa.Table) -> Iterator[TagLists]:
    """The training posts of each share: the different tags of each post as written."""
    for row in range(shares.num_rows):
        tags, known, lengths, codes = (
            shares[name][row].values for name in ("tags", "normalised", "lengths", "codes")
        )
        rows = np.repeat(np.arange(len(lengths)), lengths.to_numpy())
        yield TagLists(rows, codes.to_numpy(), tags, len(lengths), known)


def make_share(tags: pa.ListArray | pa.ChunkedArray, training: NDArray[np.bool_]) -> pa.Table:
    """A share of some posts.

    Args:
        tags: tags as written of public posts, (n,).
        training: false for held-out posts, bool (n,).

    Returns:
        One row: `tags` list<string>, the distinct ones, `normalised` list<string>, the same
        normalised, `lengths` list<int32>, how many different ones each training post has, and
        `codes` list<int32>, their places in `tags`.
    """
    lists = encode(tags)
    kept, size = np.flatnonzero(training[lists.rows]), max(len(lists.distinct), 1)
    numbers = np.cumsum(training) - 1
    keys = sorted_unique(numbers[lists.rows[kept]] * size + lists.codes[kept])
    rows, codes = np.divmod(keys, size)
    lengths = np.bincount(rows, minlength=np.count_nonzero(training))
    columns = {
        "tags": lists.distinct,
        "normalised": pa.array(map(normalised, lists.distinct.to_pylist()), pa.string()),
        "lengths": pa.array(lengths, pa.int32()),
        "codes": pa.array(codes, pa.int32()),
    }
    return pa.table({name: _one_row(column) for name, column in columns.items()})


def _one_row(values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def _read_share(batch: pa.Table, source: PostSource) -> pa.Table:
    tables = [source.public_tags(source.units[unit]) for unit in batch["unit"].to_pylist()]
    posts = pa.concat_tables(tables)
    return make_share(posts["hashtags"], ~held_out(post_keys(posts["post_id"])))
