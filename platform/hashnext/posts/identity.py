"""A post's identity in numbers: the key that every random draw about it starts from.

What is held out follows from the post's id alone, so that a vocabulary counted from posts and a run
on their shards agree without either knowing the other. Copies are found later, by `jobs.prepare`,
and shards do not say which posts show the same picture. With its default, `--duplicates.remove
near`, no two posts of a group are left, and the id of a group's smallest post, which stays, stands
for the group. With `exact` or `none` copies of a held-out post may be trained on, and figures on
held-out posts are then too good.
"""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

HELD_OUT_PER_THOUSAND = 50


def post_keys(post_ids: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """64-bit BLAKE2b of each post id: uint64 (n,), the same on every machine."""
    fresh = blake2b(digest_size=8).copy  # copying a hasher takes half the time of making one
    digests = []
    for value in post_ids.cast(pa.binary()).to_pylist():
        hasher = fresh()
        hasher.update(value)
        digests.append(hasher.digest())
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def held_out(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which posts are kept for evaluation: bool (n,), 5 % of all, the same in every run."""
    return keys % np.uint64(1000) < np.uint64(HELD_OUT_PER_THOUSAND)
