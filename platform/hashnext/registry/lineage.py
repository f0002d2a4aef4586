"""Which posts that were taken down later a model has seen.

A model knows the fingerprint of its shards, and each tombstone those of the shards with the post
and without it. A post that went when shards turned from B into C was also in A, if an earlier
takedown had turned A into B: the posts that a model has seen are those that went on any path of
takedowns from its own fingerprint on.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hashnext.posts.identity import held_out, post_keys

INITIAL_WEIGHTS = "initial_weights"
"""Where the lineage of a package tells of the weights that it was trained from."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A post that was in a model's shards and has been taken down since."""

    post_id: str
    held_out: bool
    """Kept for evaluation, so never trained on. Any other post was trained on if one of its
    hashtags named a label."""
    time: str
    """When it was taken down: ISO 8601, UTC."""
    shards: str
    """Folder that it was taken from."""


def seen_datasets(lineage: Mapping[str, Any]) -> list[str]:
    """Fingerprints of the shards that a model was trained on, and of those that the weights it
    started from were trained on, as far as they are known; each once."""
    inherited = (lineage.get(INITIAL_WEIGHTS) or {}).get("datasets", [])
    return [*dict.fromkeys(filter(None, (lineage.get("dataset"), *inherited)))]


def seen_posts(datasets: Iterable[str], tombstones: pa.Table) -> list[Seen]:
    """Posts that shards of these fingerprints held and that were taken down, each once, by id.

    Args:
        datasets: fingerprints of the shards.
        tombstones: of `posts.tombstones.TOMBSTONES`.
    """
    by_fingerprint = defaultdict(list)
    for row in tombstones.to_pylist():
        by_fingerprint[row["before"]].append(row)
    found: dict[str, dict[str, str]] = {}
    reached = {*datasets}
    waiting = [*reached]
    while waiting:
        for row in by_fingerprint[waiting.pop()]:
            found.setdefault(row["post_id"], row)
            if row["after"] not in reached:
                reached.add(row["after"])
                waiting.append(row["after"])
    ids = sorted(found)
    kept_back = held_out(post_keys(pa.array(ids, pa.string()))).tolist()
    return [
        Seen(
            post_id=post_id, held_out=held, time=f"{found[post_id]['time']:%Y-%m-%dT%H:%M:%SZ}",
            shards=found[post_id]["shards"],
        )
        for post_id, held in zip(ids, kept_back, strict=True)
    ]  # fmt: skip
