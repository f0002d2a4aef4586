"""Posts in Parquet files, read one row group at a time and only the columns asked for."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from hashnext.errors import DataError, SchemaError
from hashnext.hashtags.normalise import extract_hashtags
from hashnext.posts import image_files
from hashnext.posts.schema import POST, Columns, Listing, Unit
from hashnext.storage import Folder

FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class RowGroup(Unit):
    """One row group of a Parquet file."""

    index: int
    """Number of the row group in the file, from 0."""

    def read(self, folder: Folder, columns: Columns, fields: Sequence[str]) -> pa.Table:
        """See `Unit.read`."""
        with _opened(folder, self.name) as file:
            return self._read(file, folder, columns, fields)

    def read_tags(self, folder: Folder, columns: Columns) -> pa.Table:
        """See `Unit.read_tags`: Parquet holds tags as numbers, and lists of them stay that way."""
        with _opened(folder, self.name) as file:
            metadata, found = file.metadata, _found(file.schema_arrow, columns)
        if "hashtags" not in found:
            return self.read(folder, columns, ["post_id", "hashtags", "public"])
        tags = columns.hashtags
        paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
        numbers = [path for path in paths if path.startswith(f"{tags}.")]
        with _opened(folder, self.name, metadata=metadata, read_dictionary=numbers) as file:
            lists = file.read_row_group(self.index, [tags])[tags]
            table = self._read(file, folder, columns, ["post_id", "public"])
        if lists.null_count and "caption" in found:
            return self.read(folder, columns, ["post_id", "hashtags", "public"])
        self._check_text(lists, folder, tags)
        return table.append_column("hashtags", lists)

    def _read(
        self, file: pq.ParquetFile, folder: Folder, columns: Columns, fields: Sequence[str]
    ) -> pa.Table:
        found = _found(file.schema_arrow, columns)
        sources = {field: _source(field, found) for field in fields}
        wanted = {columns.of(source) for source in sources.values() if source}
        raw = file.read_row_group(self.index, columns=sorted(wanted))
        if sources.get("hashtags") == "hashtags" and raw[columns.hashtags].null_count:
            for name in {columns.caption} & set(file.schema_arrow.names):
                captions = file.read_row_group(self.index, columns=[name])[name]
                self._check_text(captions, folder, name)
                raw = raw.append_column(name, captions)
        table = pa.table(
            [self._field(field, sources[field], raw, folder, columns) for field in fields],
            schema=pa.schema([POST.field(field) for field in fields]),
        )
        return self._set_aside_nameless(table, columns) if "post_id" in fields else table

    def _set_aside_nameless(self, table: pa.Table, columns: Columns) -> pa.Table:
        """Rows without an id are no posts: they get their place for one, and are private."""
        nameless = pc.equal(pc.fill_null(table["post_id"], ""), "")
        if not pc.any(nameless, min_count=0).as_py():
            return table
        group = f"{self.name}, row group {self.index}"
        places = pa.array([f"{group}, row {row}" for row in range(table.num_rows)])
        problem = pa.scalar(f"no {columns.post_id!r}")
        for field, value in (("post_id", places), ("public", False), ("problem", problem)):
            if field in table.column_names:
                column = pc.if_else(nameless, value, table[field])
                table = table.set_column(table.column_names.index(field), field, column)
        return table

    def _check_text(self, values: pa.ChunkedArray, folder: Folder, column: str) -> None:
        """Refuse text that is not UTF-8, which Parquet does not keep a writer from storing."""
        for chunk in values.chunks:
            texts = chunk.values if types.is_nested(chunk.type) else chunk
            try:
                getattr(texts, "dictionary", texts).validate(full=True)
            except pa.ArrowInvalid as error:
                where = folder.location_of(self.name)
                raise DataError(f"{where}: column {column!r} is no text ({error})") from error

    def _field(
        self, field: str, source: str | None, raw: pa.Table, folder: Folder, columns: Columns
    ) -> pa.ChunkedArray | pa.Array:
        """One column of `POST`, made from the column of the file that it comes from."""
        if source is None:
            return pa.nulls(raw.num_rows, POST.field(field).type)
        values = raw[columns.of(source)]
        if field != "image":
            self._check_text(values, folder, columns.of(source))
        if field == "image_uri":
            beside = folder.location_of(self.name)
            return pa.array(image_files.resolve(values.to_pylist(), beside), pa.string())
        if field == "hashtags":
            if source == "caption":
                return _from_captions(values)
            captions = raw[columns.caption] if columns.caption in raw.column_names else None
            return _without_nulls(values, captions)
        return (encoded_images(values) if field == "image" else values).cast(POST.field(field).type)


def is_image(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold encoded images: bytes, or a struct of `bytes`."""
    nested = types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    return _is_bytes(kind.field("bytes").type if nested else kind)


def encoded_images(values: Any) -> Any:
    """The bytes of a column that `is_image`, chunked or not."""
    return pc.struct_field(values, "bytes") if types.is_struct(values.type) else values


def list_row_groups(folder: Folder, names: Sequence[str], columns: Columns) -> Listing:
    """Read the footers, check the columns, and list the row groups.

    Raises:
        DataError: a file is not Parquet or its footer is damaged.
        SchemaError: a column has the wrong type.
    """

    def footer(name: str) -> tuple[pq.FileMetaData, frozenset[str]]:
        with _opened(folder, name) as file:
            schema = file.schema_arrow
            _check_types(schema, columns, folder.location_of(name))
            return file.metadata, _found(schema, columns)

    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as threads:
        footers = list(threads.map(footer, names))
    sizes = [info.size for info in folder.filesystem.get_file_info([*map(folder.file, names)])]
    units: list[RowGroup] = []
    facts = []
    for name, size, (metadata, _) in zip(names, sizes, footers, strict=True):
        rows = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        units += [RowGroup(name=name, rows=n, index=index) for index, n in enumerate(rows)]
        facts.append((name, size, f"rows {rows}"))
    # Where one file says which posts are public, those of a file that does not are private.
    each = [found for _, found in footers]
    stated = frozenset.union(*each) & {"public"}
    found = frozenset.intersection(*each) | stated
    return Listing(units=tuple(units), found=found, facts=tuple(facts))


@contextmanager
def _opened(folder: Folder, name: str, **options: Any) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(folder.file(name), filesystem=folder.filesystem, **options) as file:
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        message = f"{folder.location_of(name)}: cannot be read as Parquet ({error})"
        raise DataError(message) from error


def _found(schema: pa.Schema, columns: Columns) -> frozenset[str]:
    names = Columns.__dataclass_fields__
    return frozenset(field for field in names if columns.of(field) in schema.names)


def _source(field: str, found: frozenset[str]) -> str | None:
    """The column that a field of `POST` is made from, of those that the file has."""
    if field == "hashtags" and field not in found:
        field = "caption"
    return field if field in found else None


def _check_types(schema: pa.Schema, columns: Columns, where: str) -> None:
    for field in _found(schema, columns):
        kind = schema.field(columns.of(field)).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if not _fits(field, kind):
            raise SchemaError(
                f"{where}: column {columns.of(field)!r} is {kind}, wanted {_WANTED[field]}"
            )


IMAGE_WANTED = "binary, or struct<bytes: binary, path: string>"
_WANTED = {
    "post_id": "string or an integer",
    "image": IMAGE_WANTED,
    "image_uri": "string",
    "hashtags": "list<string>",
    "caption": "string",
    "public": "bool",
}


def _fits(field: str, kind: pa.DataType) -> bool:
    if field == "post_id":
        return _is_text(kind) or types.is_integer(kind)
    if field == "image":
        return is_image(kind)
    if field == "hashtags":
        lists = types.is_list, types.is_large_list, types.is_fixed_size_list
        return any(is_list(kind) for is_list in lists) and _is_text(kind.value_type)
    return types.is_boolean(kind) if field == "public" else _is_text(kind)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _is_bytes(kind: pa.DataType) -> bool:
    return kind in (pa.binary(), pa.large_binary(), pa.binary_view())


def _without_nulls(lists: pa.ChunkedArray, captions: pa.ChunkedArray | None) -> pa.Array:
    """Lists of tags with null tags gone; a null list is that of the caption, or empty."""
    if captions is not None:
        lists = pc.coalesce(lists.cast(POST.field("hashtags").type), _from_captions(captions))
    array = lists.cast(POST.field("hashtags").type).combine_chunks()
    tags, rows = pc.list_flatten(array), pc.list_parent_indices(array)
    kept = tags.is_valid()
    counts = np.bincount(rows.filter(kept).to_numpy(), minlength=len(array))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), tags.filter(kept))


def _from_captions(captions: pa.ChunkedArray) -> pa.Array:
    found = [list(extract_hashtags(caption)) if caption else [] for caption in captions.to_pylist()]
    return pa.array(found, POST.field("hashtags").type)
