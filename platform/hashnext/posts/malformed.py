"""Rows of a source that are no posts, each told by its place: what is not stated is not public.

Of what such a row holds nothing is kept, since it may be private.
"""

from collections.abc import Sequence

from hashnext.errors import DataError, SchemaError
from hashnext.posts.records import Record
from hashnext.posts.schema import Columns


def set_aside(place: str, error: DataError, columns: Columns) -> Record:
    """Fields of `POST` for a JSON record that is no post.

    Args:
        place: file and line or member, which stands for the id.
        error: what `parse` or `post_of` said.
        columns: names of the fields in the source.
    """
    problem = "not a JSON object in UTF-8"
    if isinstance(error, SchemaError):
        problem = f"no {columns.post_id!r}, or a value of the wrong type"
    return {"post_id": place, "hashtags": [], "public": False, "problem": problem}


def require_mostly_sound(errors: Sequence[DataError], total: int) -> None:
    """Stop before any work where most of the first rows are no posts: then a setting is wrong.

    Args:
        errors: what was said about those of them that are none.
        total: number of rows.

    Raises:
        DataError: the first of the errors, where at least half of the rows have one.
    """
    if errors and 2 * len(errors) >= total:
        raise errors[0]
