"""The pictures of a whole preparation, gathered from the parts and from evaluation sets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashnext.shards import records
from hashnext.shards.identity import (
    IN_MEMORY,
    Pictures,
    Thumbnails,
    as_thumbnails,
    first_of_equal,
    pictures,
)
from hashnext.storage import Folder


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The first row of every public id, in the order of the parts, then the references' images."""

    images: Pictures
    num_posts: int
    tables: NDArray[np.int64]
    """(n,): number of the part that a picture lies in, or number of parts + that of a reference."""
    rows: NDArray[np.int64]
    """(n,): its row there."""
    repeated: list[tuple[int, int, str]]
    """Part, row and id of the other rows of every id."""
    private: list[tuple[int, int, str]]
    """The same of all rows whose id is private."""


def collect(
    out: Folder, num_parts: int, references: Sequence[pa.Table], private: pa.Array
) -> Collection:
    """Gather what the pictures are known by.

    Args:
        out: folder of the shards, all parts made.
        references: of IDENTITY_SCHEMA.
        private: ids of which some row was not public, whatever the others say.
    """
    parts = [out.read_table(records.identity_name(part), IN_MEMORY) for part in range(num_parts)]
    tables = [*parts, *(table.select(IN_MEMORY) for table in references)]
    whole = pa.concat_tables(tables)
    number = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    row = np.concatenate([np.arange(table.num_rows) for table in tables])
    num_rows = sum(part.num_rows for part in parts)
    ids = whole["post_id"].slice(0, num_rows).combine_chunks()
    hidden = np.asarray(pc.is_in(ids, value_set=private))
    again = (first_of_equal(ids) != np.arange(num_rows)) & ~hidden
    kept = np.ones(len(row), bool)
    kept[:num_rows] = ~(hidden | again)
    number_kept, row_kept = number[kept], row[kept]

    def places(rows: NDArray[np.bool_]) -> list[tuple[int, int, str]]:
        return [(int(number[n]), int(row[n]), ids[n].as_py()) for n in np.flatnonzero(rows)]

    def thumbnails(wanted: Iterable[int]) -> dict[int, Thumbnails]:
        chosen = np.array(sorted(wanted), dtype=np.int64)
        found: dict[int, Thumbnails] = {}
        for table in np.unique(number_kept[chosen]).tolist():
            members = chosen[number_kept[chosen] == table]
            column = _thumbnails_of(out, num_parts, references, table)
            values = column.take(pa.array(row_kept[members])).to_pylist()
            found |= dict(zip(members.tolist(), map(as_thumbnails, values), strict=True))
        return found

    return Collection(
        images=pictures(whole.filter(pa.array(kept)), thumbnails),
        num_posts=int(kept[:num_rows].sum()),
        tables=number_kept,
        rows=row_kept,
        repeated=places(again),
        private=places(hidden),
    )


def _thumbnails_of(
    out: Folder, num_parts: int, references: Sequence[pa.Table], table: int
) -> pa.ChunkedArray:
    if table >= num_parts:
        return references[table - num_parts]["thumbnails"]
    return out.read_table(records.identity_name(table), ["thumbnails"])["thumbnails"]
