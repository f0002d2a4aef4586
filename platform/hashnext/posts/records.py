"""Posts written as JSON objects: one record checked, and many as a table."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from hashnext.errors import DataError, SchemaError
from hashnext.hashtags.normalise import extract_hashtags
from hashnext.posts.gate import SHOWN_OF_PRIVATE
from hashnext.posts.schema import POST, Columns

Record = dict[str, Any]


def parse(data: bytes, where: str) -> Record:
    """A JSON object from its bytes.

    Args:
        where: file and line or member, for the message.

    Raises:
        DataError: not a JSON object in UTF-8.
    """
    try:
        record = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no UTF-8 or JSON, or such as no post needs
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: a JSON {type(record).__name__}, not an object")
    return record


def post_of(record: Record, columns: Columns, where: str) -> Record:
    """Fields of `POST` that a record holds, under their own names, types checked.

    `image`, when it is text, is the path of a file and becomes `image_uri`.

    Raises:
        SchemaError: a value has the wrong type, or there is no post id.
    """
    named = {field: record.get(columns.of(field)) for field in Columns.__dataclass_fields__}
    for field, (kinds, wanted) in _TYPES.items():
        value = named[field]
        if value is not None and type(value) not in kinds:
            raise SchemaError(
                f"{where}: {columns.of(field)!r} is {_shown(named, field, value)}, wanted {wanted}"
            )
    if named["post_id"] in (None, ""):
        raise SchemaError(f"{where}: no {columns.post_id!r}; every post needs an id")
    uri = named["image"] or named["image_uri"]
    return {
        "post_id": _text(str(named["post_id"])),
        "image_uri": uri and _text(uri),
        "hashtags": _hashtags(named, columns, where),
        "public": named["public"],
    }


def names_in(records: Iterable[Record], columns: Columns) -> frozenset[str]:
    """Fields of `Columns` that at least one record holds."""
    keys = {key for record in records for key in record}
    return frozenset(field for field in Columns.__dataclass_fields__ if columns.of(field) in keys)


def table_of(posts: Sequence[Record], fields: Sequence[str]) -> pa.Table:
    """The posts as columns `fields` of `POST`."""
    wanted = [POST.field(field) for field in fields]
    return pa.table(
        [pa.array([post.get(field.name) for post in posts], field.type) for field in wanted],
        schema=pa.schema(wanted),
    )


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "post_id": ((str, int), "text or an integer"),
    "image": ((str,), "the path of a file"),
    "image_uri": ((str,), "a path or URI"),
    "hashtags": ((list,), "a list of text"),
    "caption": ((str,), "text"),
    "public": ((bool,), "true or false"),
}


def _shown(post: Record, field: str, value: object) -> str:
    """A value for a message; of a post that is not stated public, what may not be shown by type."""
    if post["public"] is True or field in SHOWN_OF_PRIVATE:
        return repr(value)
    return f"of type {type(value).__name__}"


def _hashtags(post: Record, columns: Columns, where: str) -> list[str]:
    hashtags, caption = post["hashtags"], post["caption"]
    if hashtags is None:
        return list(extract_hashtags(_text(caption))) if caption else []
    for tag in hashtags:
        if tag is not None and not isinstance(tag, str):
            held = f"holds {_shown(post, 'hashtags', tag)}"
            raise SchemaError(f"{where}: {columns.hashtags!r} {held}, wanted a list of text")
    return [_text(tag) for tag in hashtags if isinstance(tag, str)]


def _text(value: str) -> str:
    """The text with lone surrogates replaced: captions cut inside an emoji hold them."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
