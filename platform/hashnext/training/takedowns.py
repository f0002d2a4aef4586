"""What may not be trained after takedowns: shards that hold such posts, labels that count them."""

import numpy as np
import pyarrow.compute as pc

from hashnext.errors import StateError
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import post_keys
from hashnext.posts.tombstones import (
    COUNTED_WITHOUT,
    Tombstones,
    first_recorded_after,
    taken_out_of,
)
from hashnext.shards.index import LabelIndex
from hashnext.shards.manifest import QUARANTINE, Manifest
from hashnext.storage import Folder


def refuse_tombstoned(shards: Folder, index: LabelIndex) -> None:
    """Raises StateError where the shards hold posts that were taken down."""
    ids = Tombstones.open().ids()
    if count := np.isin(index.keys, post_keys(ids)).sum() if len(ids) else 0:
        raise StateError(
            f"shards {shards.location}: {count:,} of their posts were taken down; "
            f"run jobs.forget --shards {shards.location}"
        )


def refuse_old_counts(shards: Folder, manifest: Manifest, vocabulary: Vocabulary) -> None:
    """Raises StateError where the shards are without posts that the vocabulary may count."""
    gone = Tombstones.open().table()
    known = vocabulary.meta.get(COUNTED_WITHOUT)
    missing = taken_out_of(gone, manifest.fingerprint) | _kept_out(shards)
    counted = missing & first_recorded_after(gone, known)
    if counted:
        raise StateError(
            f"the vocabulary was counted before {len(counted):,} posts were taken down, which "
            f"shards {shards.location} are without; count again: jobs.vocabulary with the same "
            "arguments and another --out"
        )


def _kept_out(shards: Folder) -> set[str]:
    """Ids of posts that were tombstoned when the shards were made."""
    rows = shards.read_table(QUARANTINE, ["post_id", "reason"])
    return set(rows.filter(pc.equal(rows["reason"], "tombstoned"))["post_id"].to_pylist())
