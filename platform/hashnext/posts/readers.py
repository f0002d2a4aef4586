"""Reading posts: one class over Parquet, JSONL, WebDataset tars and our own shards.

    source = PostSource.open("s3://bucket/posts")
    for unit in source.units:
        table = source.read(unit, ["post_id", "hashtags", "public"])

Units are independent of each other, so that Ray tasks can read them anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from hashnext.errors import DataError, SchemaError
from hashnext.posts import gate, tombstones
from hashnext.posts.discovery import are_shards, find_files, suffix
from hashnext.posts.fetch import FetchConfig, Fetched, fetch
from hashnext.posts.jsonl import list_lines
from hashnext.posts.parquet import list_row_groups
from hashnext.posts.records import table_of
from hashnext.posts.schema import POST, Columns, Listing, Unit
from hashnext.posts.tar import list_tars
from hashnext.posts.tombstones import Tombstones
from hashnext.storage import Folder, absolute

LISTERS = {".parquet": list_row_groups, ".jsonl": list_lines, ".tar": list_tars}
MAX_BYTES = 64 << 20
"""Longest image file that `read` fetches; `images` is told its own limit."""
EITHER = {
    "hashtags": ("hashtags", "caption"),
    "image": ("image", "image_uri"),
    "image_uri": ("image_uri", "image"),
}
"""Fields, and the columns of which one must be there. Beside bytes, `image_uri` is null."""


@dataclass(frozen=True, kw_only=True)
class PostSource:
    """Posts at one location: what there is, and a way to read any part of it. Picklable."""

    folder: Folder
    location: str
    columns: Columns
    unstated_is_public: bool
    """No column says which posts are public; shards, or said by the user, that they all are."""
    found: frozenset[str]
    """Fields of `Columns` that the source holds."""
    units: tuple[Unit, ...]
    rows: int | None
    """Posts in all; None where only reading could tell (tars)."""
    tombstoned: pa.Array
    """Ids of its posts that were taken down, ascending: string (n,). Of tars, which tell their ids
    only when they are read, the ids of all posts ever taken down."""
    last_takedown: str | None
    """Time of the last takedown, of whatever post, that this reader knows of: ISO 8601."""
    fingerprint: str
    """SHA-256 over the names, sizes and row counts of the files and the names of the columns; where
    posts were taken down, also how many and a digest of their ids."""

    @classmethod
    def open(
        cls, location: str | Path, columns: Columns | None = None, assume_public: bool = False
    ) -> "PostSource":
        """Find out what lies at a location and check that it can be used.

        Args:
            location: a Parquet file, a JSONL manifest, a WebDataset tar, or a folder of files of
                one of these kinds, or a folder of shards; local or a `pyarrow.fs` URI.
            columns: names of the fields in the source; the default is the names of `POST`.
            assume_public: take posts for public where the source says nothing about it. A column
                that says so is heeded all the same.

        Raises:
            DataError: there is nothing, or nothing that can be read.
            SchemaError: a column is missing or has the wrong type.
            PrivacyError: nothing states that the posts are public.
            ConfigError: the folder of the posts taken down does not exist.
        """
        columns = columns or Columns()
        folder, names = find_files(location)
        listing = LISTERS[suffix(names[0])](folder, names, columns)
        _check_found(listing.found, columns, location)
        stated = "public" in listing.found
        shards = not stated and are_shards(folder, names)
        gate.require_statement(
            str(location), columns.public, stated=stated, assume_public=assume_public or shards
        )
        rows = [unit.rows for unit in listing.units]
        if not sum(count is None or count for count in rows):
            raise DataError(f"{location}: holds no posts")
        records = Tombstones.open().table()
        known = tombstones.ids_in(records)
        taken_down = tombstones.found_among(known, listing.units, folder, columns)
        return cls(
            folder=folder,
            location=absolute(location),
            columns=columns,
            unstated_is_public=not stated,
            found=listing.found,
            units=listing.units,
            rows=None if None in rows else sum(count or 0 for count in rows),
            tombstoned=taken_down,
            last_takedown=tombstones.latest(records),
            fingerprint=_fingerprint(listing, columns, taken_down),
        )

    def require(self, *fields: str) -> None:
        """Check that the source holds these fields of `POST`.

        Raises:
            SchemaError: no column provides one of them.
        """
        for field in fields:
            names = EITHER.get(field, (field,))
            if field not in ("public", "problem") and not self.found.intersection(names):
                raise SchemaError(
                    f"{self.location}: no column "
                    + " or ".join(repr(self.columns.of(name)) for name in names)
                    + f"; name it with --columns.{field.replace('_', '-')}"
                )

    def read(self, unit: Unit, fields: Sequence[str]) -> pa.Table:
        """The posts of a unit, in their order in the source: all `pieces` of it, as one table."""
        return pa.concat_tables([*self.pieces(unit, fields)] or [table_of([], fields)])

    def pieces(self, unit: Unit, fields: Sequence[str]) -> Iterator[pa.Table]:
        """The posts of a unit, in their order in the source, some after the other.

        Of a private post only the id is shown: `image` and `image_uri` are null, `hashtags` empty.
        A post that was taken down is private, and so is a row that is no post (`problem`).

        Args:
            unit: one of `units`.
            fields: names of columns of `POST`.

        Yields:
            Tables of these columns with the types of `POST`. `image` holds the encoded bytes, also
            where the source names files; it is null where the file cannot be read. `image_uri` is
            absolute. `public` has no nulls: what is not stated public is private.

        Raises:
            DataError: a file is damaged.
            SchemaError: the source has no such column.
        """
        self.require(*fields)
        needed = {*fields, "public"} | ({"post_id"} if len(self.tombstoned) else set())
        from_files = "image" in fields and "image" not in self.found
        if from_files:
            needed |= {"image_uri"}
        names = [name for name in POST.names if name in needed]
        for piece in unit.pieces(self.folder, self.columns, names):
            table = gate.close(
                piece, unstated_is_public=self.unstated_is_public, tombstoned=self.tombstoned
            )
            yield (self._with_images(table) if from_files else table).select(list(fields))

    def _with_images(self, table: pa.Table) -> pa.Table:
        """The table with the contents of the files that it names."""
        found = self.images(table.drop_columns("image"), FetchConfig(), MAX_BYTES)
        images = [image if isinstance(image, bytes) else None for image in found]
        index = table.column_names.index("image")
        return table.set_column(index, "image", pa.array(images, pa.binary()))

    def without_images(self) -> list[str]:
        """Names of the columns of `POST`, but for `image` where images lie in files of their own.

        What `read` gives of these can be handed to `images`, a few of which are held at a time.
        """
        return [name for name in POST.names if name != "image" or name in self.found]

    def images(self, posts: pa.Table, config: FetchConfig, max_bytes: int) -> Iterator[Fetched]:
        """The encoded images of posts, one after the other; None where a post has none.

        Args:
            posts: what `read` gives for `without_images()`.
            config: how patiently files are fetched.
            max_bytes: longest file that is fetched.
        """
        if "image" not in posts.column_names:
            yield from fetch(posts["image_uri"].to_pylist(), self.folder, config, max_bytes)
            return
        for chunk in posts["image"].chunks:
            yield from (image.as_py() for image in chunk)

    def public_tags(self, unit: Unit) -> pa.Table:
        """Ids and tags of a unit's public posts, in their order: the quick way to count tags.

        Returns:
            `post_id` string, `hashtags` `ENCODED_TAGS`: without nulls, and its dictionary holds
            the tags of these posts and no other.

        Raises:
            DataError: a file is damaged.
            SchemaError: the source has no tags.
        """
        self.require("post_id", "hashtags")
        table = unit.read_tags(self.folder, self.columns)
        return gate.public_tags(
            table, unstated_is_public=self.unstated_is_public, tombstoned=self.tombstoned
        )


def _check_found(found: frozenset[str], columns: Columns, location: str | Path) -> None:
    """A post needs an id and tags, and what the user has named must be there."""
    missing = [field for field in ("post_id", *columns.renamed()) if field not in found]
    if missing == ["image"] and "image_uri" in found:
        missing = []  # a JSONL manifest's `image` is a path
    if not missing and not found.intersection(EITHER["hashtags"]):
        missing = ["hashtags"]
    if missing:
        options = ", ".join(f"--columns.{field.replace('_', '-')}" for field in missing)
        names = ", ".join(repr(columns.of(field)) for field in missing)
        raise SchemaError(f"{location}: no column {names}; name the right one with {options}")


def _fingerprint(listing: Listing, columns: Columns, tombstoned: pa.Array) -> str:
    """Where nothing was taken down it has no suffix, so that finished work stays finished."""
    files = sha256(repr((listing.facts, astuple(columns))).encode()).hexdigest()
    if not len(tombstoned):
        return files
    ids = tombstones.digest(tombstoned)[:16]
    return f"{files}-without-{len(tombstoned)}-tombstoned-{ids}"
