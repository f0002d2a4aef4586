"""One part of the shards: posts in, one Parquet file and a list of rejected posts out. No Ray."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hashnext.errors import ConfigError
from hashnext.images.crop import resize_short_side
from hashnext.images.decode import DecodeLimits, ImageRejected, decode, encode_jpeg
from hashnext.shards.manifest import SHARD_SCHEMA, ShardFile
from hashnext.storage import Folder

ROW_GROUP_ROWS = 128
"""Posts in a row group, the unit of reading: 2.5 MB at a short side of 256 px."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How images are stored."""

    size: int = 256
    """Longest permitted short side, in pixels; images are never enlarged."""
    quality: int = 90
    """JPEG quality of the stored image, 1 to 100."""
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    """What is refused undecoded."""

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
    rejections: list[Rejection] = field(default_factory=list)

    def add(self, posts: pa.Table) -> None:
        """Add posts (post_id, image, image_uri, hashtags, public)."""
        for batch in posts.to_batches(max_chunksize=ROW_GROUP_ROWS):
            for post in batch.to_pylist():
                row = _shard_row(post, self.config)
                if isinstance(row, Rejection):
                    self.rejections.append(row)
                else:
                    self.rows.append(row)

    def table(self) -> pa.Table:
        """The shard rows so far, in the order added."""
        return pa.Table.from_pylist(self.rows, schema=SHARD_SCHEMA)


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


def _shard_row(post: dict[str, Any], config: PrepareConfig) -> dict[str, Any] | Rejection:
    if not post["public"]:
        return Rejection(post["post_id"], "gate", "private", "not stated public")
    if post["image"] is None and post["image_uri"]:
        return Rejection(post["post_id"], "fetch", "missing", "no file at its image_uri")
    try:
        image = decode(post["image"], config.limits, config.size)
    except ImageRejected as error:
        return Rejection(post["post_id"], "decode", error.reason, error.detail)
    image = resize_short_side(image, config.size)
    height, width = image.shape[:2]
    return {
        "post_id": post["post_id"], "image": encode_jpeg(image, config.quality),
        "width": width, "height": height, "hashtags": post["hashtags"],
    }  # fmt: skip
