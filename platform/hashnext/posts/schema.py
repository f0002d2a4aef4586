"""What a post is: its fields, their Arrow types, and the names they go by in a source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import pyarrow as pa

from hashnext.errors import ConfigError
from hashnext.storage import Folder

POST = pa.schema(
    [
        ("post_id", pa.string()),
        ("image", pa.binary()),
        ("image_uri", pa.string()),
        ("hashtags", pa.list_(pa.string())),
        ("public", pa.bool_()),
        ("problem", pa.string()),
    ]
)
"""The fields of a post. Whatever else a source holds is dropped at the door. `problem` is null but
for rows of the source that are no posts: it says why, the row's place stands for the id, and the
row is private."""

ENCODED_TAGS = pa.list_(pa.dictionary(pa.int32(), pa.string()))
"""Type of `hashtags` where the text of each distinct tag is held once."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the fields of a post are called in a source: Parquet columns or JSON keys."""

    post_id: str = "post_id"
    """Identifier of the post, text or integer."""
    image: str = "image"
    """Encoded image: bytes in Parquet, path of a file in JSONL."""
    image_uri: str = "image_uri"
    """Path or URI of the image; a relative one starts at the folder of the file that names it."""
    hashtags: str = "hashtags"
    """List of hashtags, with or without '#'."""
    caption: str = "caption"
    """Text to take the hashtags from where there is no list of them."""
    public: str = "public"
    """Boolean: true where the post may be used."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name):
                raise ConfigError(f"columns.{field.name}", "", "name a column")

    def of(self, field: str) -> str:
        """Name in the source of a field of a post."""
        return str(getattr(self, field))

    def renamed(self) -> list[str]:
        """Fields whose name was set by the user, who therefore expects to find them."""
        return [field.name for field in fields(self) if self.of(field.name) != field.default]


@dataclass(frozen=True, kw_only=True)
class Unit(ABC):
    """A piece of a source that one task reads: small, picklable, the same on every machine."""

    name: str
    """Name of the file inside the source's folder, with '/' where it lies deeper."""
    rows: int | None
    """Posts in it, where that is known without reading it."""

    @abstractmethod
    def read(self, folder: Folder, columns: Columns, fields: Sequence[str]) -> pa.Table:
        """The unit's posts as columns `fields` of `POST`, in that order, before the privacy gate.

        Raises:
            DataError: the file is damaged.
        """

    def pieces(self, folder: Folder, columns: Columns, fields: Sequence[str]) -> Iterator[pa.Table]:
        """What `read` gives, some posts after the other where the unit is large."""
        yield self.read(folder, columns, fields)

    def read_tags(self, folder: Folder, columns: Columns) -> pa.Table:
        """`post_id`, `hashtags` and `public` as `read` gives them, before the privacy gate.

        A unit that can read them faster may give `hashtags` as `ENCODED_TAGS`.
        """
        return self.read(folder, columns, ["post_id", "hashtags", "public"])


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What opening a source finds out without reading its posts."""

    units: tuple[Unit, ...]
    found: frozenset[str]
    """Names among those of `Columns` that the source holds."""
    facts: tuple[tuple[str, int, str], ...]
    """Name, size in bytes and a word on the contents of each file: what the fingerprint covers."""
