"""The privacy gate: of a post that is private or taken down, nothing but its id gets through."""

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.errors import PrivacyError
from hashnext.posts.tags import encoded

SHOWN_OF_PRIVATE = ("post_id", "public", "problem")


def require_statement(location: str, column: str, *, stated: bool, assume_public: bool) -> None:
    """Stop before any post is read when nobody says that the posts are public.

    Raises:
        PrivacyError: there is no column `column`, and `assume_public` is not said either.
    """
    if not stated and not assume_public:
        raise PrivacyError(
            f"{location}: no boolean column {column!r} says which posts are public; name it with "
            "--columns.public, or say --assume-public if every post is"
        )


def close(table: pa.Table, *, unstated_is_public: bool, tombstoned: pa.Array) -> pa.Table:
    """The same rows, where private posts keep their id and lose everything else.

    Args:
        table: columns of `schema.POST`, among them `public`, and `post_id` if any is tombstoned.
        unstated_is_public: what a null in `public` counts as.
        tombstoned: ids of posts taken down, which are private whatever `public` says.
    """
    public = _public(table, unstated_is_public, tombstoned)
    table = table.set_column(table.column_names.index("public"), "public", public)
    if pc.all(public, min_count=0).as_py():
        return table
    for index, field in enumerate(table.schema):
        if field.name not in SHOWN_OF_PRIVATE:
            blank = (
                pa.scalar([], field.type) if field.name == "hashtags" else pa.NA.cast(field.type)
            )
            table = table.set_column(index, field, pc.if_else(public, table[field.name], blank))
    return table


def public_tags(table: pa.Table, *, unstated_is_public: bool, tombstoned: pa.Array) -> pa.Table:
    """`post_id` and `hashtags` (`ENCODED_TAGS`) of the public posts alone.

    The dictionary is made anew, so that it holds no tag that only private posts carry.

    Args:
        table: `post_id`, `hashtags` and `public`.
        unstated_is_public: what a null in `public` counts as.
        tombstoned: ids of posts taken down, which are private whatever `public` says.
    """
    public = table.filter(_public(table, unstated_is_public, tombstoned))
    return pa.table({"post_id": public["post_id"], "hashtags": encoded(public["hashtags"])})


def _public(table: pa.Table, unstated_is_public: bool, tombstoned: pa.Array) -> pa.ChunkedArray:
    public = pc.fill_null(table["public"], unstated_is_public)
    if not len(tombstoned):
        return public
    return pc.and_(public, pc.invert(pc.is_in(table["post_id"], value_set=tombstoned)))
