"""Hashtags of many posts as numbers: every tag's text is held, and touched, once.

A list of tags is `list<string>`, or `list<dictionary>` (`ENCODED_TAGS`), as which counting reads
them because Parquet files hold tags that way already.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashnext.posts.schema import ENCODED_TAGS


@dataclass(frozen=True, eq=False)
class TagLists:
    """Lists of tags: row `rows[i]` holds `distinct[codes[i]]`."""

    rows: NDArray[np.int64]
    """Number of the list that each tag stands in, int64 (m,), ascending."""
    codes: NDArray[np.int32]
    """Number of each tag in `distinct`, int32 (m,)."""
    distinct: pa.StringArray
    """The tags, (V,), each once; those of other lists may be among them."""
    size: int
    """Number of lists, the empty ones included."""
    normalised: pa.StringArray | None = None
    """What `distinct` becomes when normalised, (V,), where that is known already."""


def encode(hashtags: pa.ListArray | pa.ChunkedArray) -> TagLists:
    """Lists of tags as numbers; null lists count as empty, and null tags are left out.

    Lists that come as `ENCODED_TAGS` bring their dictionary along.
    """
    rows, tags = _flat(hashtags)
    return TagLists(rows, tags.indices.to_numpy(), tags.dictionary, len(hashtags))


def encoded(hashtags: pa.ListArray | pa.ChunkedArray) -> pa.ListArray:
    """The same lists as `ENCODED_TAGS` (n,), null lists empty and null tags gone.

    The dictionary holds the tags that occur, each of them once, and no other.
    """
    rows, tags = _flat(hashtags)
    counts = np.bincount(rows, minlength=len(hashtags))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _compact(tags), type=ENCODED_TAGS)


def _flat(hashtags: pa.ListArray | pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.DictionaryArray]:
    """Row and tag (m,) of every tag that is not null."""
    chunked = hashtags if isinstance(hashtags, pa.ChunkedArray) else pa.chunked_array([hashtags])
    lists = chunked.combine_chunks()
    rows, tags = pc.list_parent_indices(lists), pc.list_flatten(lists)
    if tags.null_count:
        rows, tags = rows.filter(tags.is_valid()), tags.filter(tags.is_valid())
    tags = tags if pa.types.is_dictionary(tags.type) else tags.dictionary_encode()
    return rows.to_numpy().astype(np.int64), tags


def _compact(tags: pa.DictionaryArray) -> pa.DictionaryArray:
    codes = tags.indices.to_numpy()
    occurs = np.bincount(codes, minlength=len(tags.dictionary)) > 0
    unique = tags.dictionary.filter(pa.array(occurs)).dictionary_encode()
    number = np.zeros(len(occurs), np.int32)
    number[occurs] = unique.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(number[codes]), unique.dictionary)
