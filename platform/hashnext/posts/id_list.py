"""A list of post ids in a file: text of one id a line, or Parquet with `post_id`."""

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from hashnext.errors import DataError, SchemaError
from hashnext.storage import locate

PARQUET = b"PAR1"
"""The first bytes of every Parquet file."""


def read_post_ids(location: str) -> list[str]:
    """The ids in a file, each once, in the order met. Space around a line's id is dropped.

    Args:
        location: path or URI.

    Raises:
        DataError: there is no such file, it cannot be read, or it holds no ids.
        SchemaError: a Parquet file has no `post_id` of text or integers, or one is null or empty.
    """
    filesystem, path = locate(location)
    try:
        with filesystem.open_input_file(path) as stream:
            data = stream.read()
    except FileNotFoundError as error:
        raise DataError(f"--post-ids {location}: there is no such file") from error
    except OSError as error:
        raise DataError(f"--post-ids {location}: cannot be read ({error})") from error
    ids = _of_parquet(data, location) if data.startswith(PARQUET) else _of_text(data, location)
    if not ids:
        raise DataError(
            f"--post-ids {location}: holds no ids; write one a line, or Parquet with `post_id`"
        )
    return list(dict.fromkeys(ids))


def _of_text(data: bytes, location: str) -> list[str]:
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"--post-ids {location}: neither UTF-8 text nor Parquet") from error
    return [line.strip() for line in lines if line.strip()]


def _of_parquet(data: bytes, location: str) -> list[str]:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if "post_id" not in file.schema_arrow.names:
            raise SchemaError(f"--post-ids {location}: no column 'post_id'")
        column = file.read(["post_id"])["post_id"]
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"--post-ids {location}: cannot be read as Parquet ({error})") from error
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
        raise SchemaError(f"--post-ids {location}: 'post_id' is {kind}, wanted text or integers")
    ids: list[str] = column.cast(pa.string()).to_pylist()
    if not all(ids):
        raise SchemaError(f"--post-ids {location}: 'post_id' holds a null or empty id")
    return ids
