"""What each picture is known by, kept beside the shards so that copies can be found at the end.

A post costs 120 bytes of memory (digest and hashes) and those of its id, in arrays; its thumbnails,
0.6 or 1.2 KB, stay on disk until it is suspected.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashnext.images.decode import RGB
from hashnext.images.fingerprint import HASHES, THUMBNAIL, fingerprint

IDENTITY_SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("sha256", pa.binary(32)),
        ("hashes", pa.list_(pa.uint64(), HASHES)),
        ("thumbnails", pa.binary()),
    ]
)
"""`sha256` is that of the encoded image as posted; `thumbnails` holds one where two are equal."""
IN_MEMORY = ["post_id", "sha256", "hashes"]

Thumbnails = NDArray[np.uint8]
"""(1 or 2, THUMBNAIL, THUMBNAIL)."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures in some order, and a way to look closer at one of them."""

    ids: pa.StringArray
    digests: pa.FixedSizeBinaryArray
    """SHA-256 of the encoded images."""
    hashes: NDArray[np.uint64]
    """(n, HASHES)."""
    thumbnails: Callable[[Iterable[int]], dict[int, Thumbnails]]
    """Thumbnails of the pictures in the rows asked for."""

    def __len__(self) -> int:
        return len(self.ids)


def identity(post_id: str, data: bytes, image: RGB) -> dict[str, Any]:
    """Row of IDENTITY_SCHEMA for encoded bytes and the uint8 (H, W, 3) picture in them."""
    found = fingerprint(image)
    whole, inner = found.thumbnails
    same = bool((whole == inner).all())
    return {
        "post_id": post_id, "sha256": hashlib.sha256(data).digest(), "hashes": found.hashes,
        "thumbnails": whole.tobytes() if same else found.thumbnails.tobytes(),
    }  # fmt: skip


def pictures(
    table: pa.Table, thumbnails: Callable[[Iterable[int]], dict[int, Thumbnails]]
) -> Pictures:
    """Pictures from a table with the columns IN_MEMORY."""
    lists = table["hashes"].combine_chunks()
    return Pictures(
        ids=table["post_id"].combine_chunks(),
        digests=table["sha256"].combine_chunks(),
        hashes=lists.flatten().to_numpy().reshape(-1, HASHES),
        thumbnails=thumbnails,
    )


def first_of_equal(values: pa.Array) -> NDArray[np.int64]:
    """For each value the number of the first that equals it, which may be itself: int64 (n,)."""
    codes = values.dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    firsts: NDArray[np.int64] = first[codes]
    return firsts


def as_thumbnails(data: bytes) -> Thumbnails:
    """Thumbnails from a value of the column."""
    return np.frombuffer(data, np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL)
