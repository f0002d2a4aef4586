"""One part of the shards: posts in, one Parquet file and a list of rejected posts out. No Ray.

Beside the rows a part collects what each picture is known by, from which copies are found later.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from hashnext.errors import ConfigError
from hashnext.images.crop import resize_short_side
from hashnext.images.decode import RGB, DecodeLimits, ImageRejected, encode_jpeg, opened
from hashnext.images.kept_jpeg import kept_jpeg
from hashnext.posts.fetch import FetchConfig, Fetched, NotFetched
from hashnext.shards.duplicates import DuplicatesConfig
from hashnext.shards.identity import IDENTITY_SCHEMA, identity
from hashnext.shards.manifest import SHARD_SCHEMA, ShardFile
from hashnext.storage import Folder

ROW_GROUP_ROWS = 128
"""Posts in a row group, the unit of reading: some 3 MB at a short side of 256 px."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How images are stored, and which copies are removed."""

    size: int = 256
    """Longest permitted short side, in pixels; images are never enlarged."""
    quality: int = 90
    """JPEG quality of images that are encoded, 1 to 100. A JPEG that is small enough already keeps
    its compressed picture, without metadata."""
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    """What is refused undecoded."""
    fetch: FetchConfig = field(default_factory=FetchConfig)
    """How images are fetched that lie in files of their own."""
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    """Which posts count as copies of others."""
    exclude_similar_to: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Parquet file or folder with `image` and `id` or `post_id`, such as the probe's test set;
    posts that show one of its images are removed. May be given repeatedly."""

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ConfigError("size", self.size, "must be at least 8 pixels")
        if not 1 <= self.quality <= 100:
            raise ConfigError("quality", self.quality, "must lie in 1..100")


@dataclass(frozen=True)
class Rejection:
    """A post that is kept out, and why."""

    post_id: str
    stage: str
    reason: str
    detail: str


@dataclass
class PartBuilder:
    """Collects the posts of one part."""

    config: PrepareConfig
    rows: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    """One for each of `rows`."""
    rejections: list[Rejection] = field(default_factory=list)
    tombstoned: frozenset[str] = frozenset()
    """Ids of posts that were taken down."""

    def add(self, posts: pa.Table, images: Iterable[Fetched]) -> None:
        """Add posts (post_id, hashtags, public, problem) and their images, in the same order."""
        for post, data in zip(_rows(posts), images, strict=True):
            stored = _stored(post, data, self.config, self.tombstoned)
            if isinstance(stored, Rejection):
                self.rejections.append(stored)
            else:
                assert isinstance(data, bytes)
                self.rows.append(stored.row(post))
                self.identities.append(identity(post["post_id"], data, stored.pixels))

    def table(self) -> pa.Table:
        """The shard rows so far, in the order added."""
        return pa.Table.from_pylist(self.rows, schema=SHARD_SCHEMA)

    def identity_table(self) -> pa.Table:
        """What the pictures of `table()` are known by, row by row."""
        return pa.Table.from_pylist(self.identities, schema=IDENTITY_SCHEMA)


def write_part(folder: Folder, name: str, rows: pa.Table) -> ShardFile:
    """Write shard rows as one Parquet file with page checksums."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows, sink, row_group_size=ROW_GROUP_ROWS, compression={"hashtags.list.element": "zstd"},
        write_page_checksum=True, use_dictionary=False,
    )  # fmt: skip
    data = sink.getvalue()
    folder.write_bytes(name, data)
    full, rest = divmod(rows.num_rows, ROW_GROUP_ROWS)
    groups = (ROW_GROUP_ROWS,) * full + ((rest,) if rest else ())
    return ShardFile(name, rows.num_rows, data.size, hashlib.sha256(data).hexdigest(), groups)


def _rows(posts: pa.Table) -> Iterator[dict[str, Any]]:
    needed = posts.select(["post_id", "hashtags", "public", "problem"])
    for batch in needed.to_batches(ROW_GROUP_ROWS):
        yield from batch.to_pylist()


@dataclass(frozen=True)
class Stored:
    """A picture as it goes into the shards."""

    pixels: RGB
    jpeg: bytes

    def row(self, post: dict[str, Any]) -> dict[str, Any]:
        """The post's row of SHARD_SCHEMA."""
        height, width = self.pixels.shape[:2]
        return {
            "post_id": post["post_id"], "image": self.jpeg, "width": width, "height": height,
            "hashtags": post["hashtags"],
        }  # fmt: skip


def _stored(
    post: dict[str, Any], data: Fetched, config: PrepareConfig, tombstoned: frozenset[str]
) -> Stored | Rejection:
    if post["problem"]:
        return Rejection(post["post_id"], "read", "malformed", post["problem"])
    if post["post_id"] in tombstoned:
        return Rejection(post["post_id"], "gate", "tombstoned", "taken down")
    if not post["public"]:
        return Rejection(post["post_id"], "gate", "private", "not stated public")
    if isinstance(data, NotFetched):
        return Rejection(post["post_id"], "fetch", data.reason, data.detail)
    try:
        return shrunk(data, config)
    except ImageRejected as error:
        return Rejection(post["post_id"], "decode", error.reason, error.detail)


def shrunk(data: bytes | None, config: PrepareConfig) -> Stored:
    """A picture with a short side of at most `config.size`; what need not shrink may keep its JPEG.

    Raises:
        ImageRejected: with the reason.
    """
    with opened(data, config.limits) as picture:
        image = resize_short_side(picture.pixels((config.size, config.size)), config.size)
        as_posted = picture.is_upright_jpeg and picture.size == image.shape[1::-1]
        kept = kept_jpeg(picture.data) if as_posted else None
    return Stored(image, kept or encode_jpeg(image, config.quality))
