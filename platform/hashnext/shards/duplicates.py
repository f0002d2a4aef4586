"""Groups of posts that show the same picture, and posts that show a picture of an evaluation set.

Copies are found in two steps: hashes that differ in a few bits make a suspect, and thumbnails that
fit each other confirm it. Groups are the connected components; of each the smallest post id stays,
so neither the order of the posts nor that of the search matters.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hashnext.errors import ConfigError
from hashnext.images.alignment import similarity
from hashnext.images.fingerprint import ANCHORS, HASHES, MIRROR
from hashnext.images.hamming import pairs_within
from hashnext.shards.identity import Pictures

EXACT, NEAR, EVALUATION = "exact_duplicate", "near_duplicate", "similar_to_evaluation"
PICTURES_AT_ONCE = 12_000
"""Pictures looked up at a time, with 22 hashes each, so that memory does not grow with the number
of pairs met."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig:
    """Which copies are removed."""

    remove: Literal["none", "exact", "near"] = "near"
    """Copies among the posts: none, those of the same bytes, or also those that look the same."""
    radius: int = 7
    """Bits of 63 in which the hashes of two copies may differ; the search is faster at 3 and 7."""
    similarity: float = 0.94
    """Least correlation of the thumbnails of two copies."""

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= 15:
            raise ConfigError("duplicates.radius", self.radius, "must lie in 0..15")
        if not 0 < self.similarity <= 1:
            raise ConfigError("duplicates.similarity", self.similarity, "must lie in (0, 1]")


@dataclass(frozen=True)
class Removal:
    """A picture that is removed for the sake of another."""

    row: int
    kept: int
    """Row of the picture that it is a copy of."""
    reason: str
    distance: int
    """Smallest number of bits in which their hashes differ."""


def find_removals(images: Pictures, num_posts: int, config: DuplicatesConfig) -> list[Removal]:
    """Posts to remove, in order of rows.

    Args:
        images: posts with different ids, then images of evaluation sets.
        num_posts: number of posts among them.
        config: which copies count.
    """
    same = _same_bytes(images.digests)
    groups = Groups(len(images))
    for first, second in [*enumerate(same), *alike(images, num_posts, config, same)]:
        groups.join(first, second)
    removals: list[Removal] = []
    for rows in groups.larger_than_one():
        if config.remove != "none" or rows[-1] >= num_posts:
            removals += _removals(images, rows, num_posts)
    return sorted(removals, key=lambda removal: removal.row)


def distance(images: Pictures, first: int, second: int) -> int:
    """Smallest number of bits in which an anchor of one picture differs from a hash of another."""
    one, other = images.hashes[first], images.hashes[second]
    return min(
        int(np.bitwise_count(anchors[:ANCHORS, None] ^ hashes[None] ^ flip).min())
        for anchors, hashes in ((one, other), (other, one))
        for flip in (np.uint64(0), MIRROR)
    )


class Groups:
    """Disjoint sets of rows (union-find with path halving)."""

    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def root(self, row: int) -> int:
        """The row that stands for the set of `row`."""
        while self.parent[row] != row:
            self.parent[row] = self.parent[self.parent[row]]
            row = self.parent[row]
        return row

    def join(self, first: int, second: int) -> None:
        """Make two sets one."""
        low, high = sorted((self.root(first), self.root(second)))
        self.parent[high] = low

    def larger_than_one(self) -> list[list[int]]:
        """Sets of at least two rows, ascending."""
        members = defaultdict(list)
        for row in range(len(self.parent)):
            members[self.root(row)].append(row)
        return [rows for rows in members.values() if len(rows) > 1]


def _same_bytes(digests: Sequence[bytes]) -> list[int]:
    """For each picture the first one of the same bytes, which may be itself."""
    first: dict[bytes, int] = {}
    return [first.setdefault(digest, row) for row, digest in enumerate(digests)]


def alike(
    images: Pictures, num_posts: int, config: DuplicatesConfig, same: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """Pairs of rows, ascending, that look the same; two posts only where `config.remove` is near.

    Args:
        images: posts, then images of evaluation sets.
        num_posts: number of posts among them.
        config: from when on two pictures are copies.
        same: of each picture the first of the same bytes; only these are compared. None: all.
    """
    same = range(len(images)) if same is None else same
    if config.remove != "near" and num_posts == len(images):
        return []
    searched = np.array([row for row, first in enumerate(same) if row == first], dtype=np.int64)
    suspects = [
        (low, high)
        for low, high in _suspects(images.hashes, searched, config.radius)
        if low < num_posts and (high >= num_posts or config.remove == "near")
    ]
    thumbnails = images.thumbnails({row for pair in suspects for row in pair})
    return [
        (low, high)
        for low, high in suspects
        if similarity(thumbnails[low], thumbnails[high]) >= config.similarity
    ]


def _suspects(hashes: NDArray[np.uint64], rows: Rows, radius: int) -> Iterator[tuple[int, int]]:
    """Ascending pairs of `rows` of which an anchor of one is near some hash of the other."""
    rows = rows[hashes[rows].any(axis=1)]
    anchors = hashes[rows, :ANCHORS].ravel()
    anchor_rows = np.repeat(rows, ANCHORS)
    different = np.ones(len(anchors), bool)
    different[1::ANCHORS] = anchors[1::ANCHORS] != anchors[::ANCHORS]
    anchors, anchor_rows = anchors[different], anchor_rows[different]
    size = len(hashes)
    found = [np.empty(0, np.int64)]
    for start in range(0, len(rows), PICTURES_AT_ONCE):
        some = rows[start : start + PICTURES_AT_ONCE]
        views = np.concatenate([hashes[some].ravel(), hashes[some].ravel() ^ MIRROR])
        view_rows = np.tile(np.repeat(some, HASHES), 2)
        for query, place, _ in pairs_within(views, anchors, radius):
            one, other = view_rows[query], anchor_rows[place]
            pairs = np.minimum(one, other) * size + np.maximum(one, other)
            found.append(np.unique(pairs[one != other]))
    for pair in np.unique(np.concatenate(found)).tolist():
        yield pair // size, pair % size


def _removals(images: Pictures, rows: list[int], num_posts: int) -> Iterator[Removal]:
    """Of one group: all posts if it holds an evaluation image, else all but the smallest id."""
    evaluation = [row for row in rows if row >= num_posts]
    keeper = min(rows, key=lambda row: images.ids[row])
    for row in rows:
        if row >= num_posts or (row == keeper and not evaluation):
            continue
        kept = min(evaluation, key=lambda other: distance(images, row, other), default=keeper)
        same = images.digests[row] == images.digests[kept]
        reason = EVALUATION if evaluation else EXACT if same else NEAR
        yield Removal(row, kept, reason, distance(images, row, kept))
