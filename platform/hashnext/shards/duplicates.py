"""Groups of posts that show the same picture, and posts that show a picture of an evaluation set.

Copies are found in two steps: hashes that differ in a few bits make a suspect, and thumbnails that
fit each other confirm it. Groups are the connected components; of each the smallest post id stays,
so neither the order of the posts nor that of the search matters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashnext.errors import ConfigError
from hashnext.images.alignment import similarity
from hashnext.images.fingerprint import ANCHORS, HASHES, MIRROR
from hashnext.images.hamming import pairs_within
from hashnext.shards.groups import Groups, Rows
from hashnext.shards.identity import Pictures, first_of_equal

EXACT, NEAR, EVALUATION = "exact_duplicate", "near_duplicate", "similar_to_evaluation"
PICTURES_AT_ONCE = 12_000
"""Pictures looked up at a time, with 22 hashes each, so that memory does not grow with the number
of pairs met."""
SUSPECTS_AT_ONCE = 1 << 20
"""Pairs kept until they are compared, 8 MB."""
COMPARED_AT_ONCE = 16_384
"""Pairs whose thumbnails are held, at most 40 MB."""

Pairs = NDArray[np.int64]
"""(p,): of rows a < b out of n the number a * n + b."""


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
    same = first_of_equal(images.digests)
    groups = Groups(same)
    searched = np.flatnonzero(same == np.arange(len(same)))
    among_posts = config.remove == "near"
    if among_posts or num_posts < len(images):
        _join_alike(groups, images, _suspects(images, searched, num_posts, config, among_posts),
                    config)  # fmt: skip
    removals: list[Removal] = []
    for rows in groups.larger_than_one():
        if config.remove != "none" or rows[-1] >= num_posts:
            removals += _removals(images, rows, num_posts, same)
    return sorted(removals, key=lambda removal: removal.row)


def alike(images: Pictures, num_posts: int, config: DuplicatesConfig) -> list[tuple[int, int]]:
    """Rows of a post and of an evaluation image that look the same: all such pairs, ascending.

    Args:
        images: posts, then images of evaluation sets.
        num_posts: number of posts among them.
        config: from when on two pictures are copies; `remove` plays no part.
    """
    rows = np.arange(len(images))
    suspects = [_NO_PAIRS, *_suspects(images, rows, num_posts, config, among_posts=False)]
    pairs = np.unique(np.concatenate(suspects))
    found: list[tuple[int, int]] = []
    for start in range(0, len(pairs), COMPARED_AT_ONCE):
        low, high = np.divmod(pairs[start : start + COMPARED_AT_ONCE], len(images))
        views = images.thumbnails({*low.tolist(), *high.tolist()})
        found += [
            (one, other) for one, other in zip(low.tolist(), high.tolist(), strict=True)
            if similarity(views[one], views[other]) >= config.similarity
        ]  # fmt: skip
    return found


def distance(images: Pictures, first: int, second: int) -> int:
    """Smallest number of bits in which an anchor of one picture differs from a hash of another."""
    one, other = images.hashes[first], images.hashes[second]
    return min(
        int(np.bitwise_count(anchors[:ANCHORS, None] ^ hashes[None] ^ flip).min())
        for anchors, hashes in ((one, other), (other, one))
        for flip in (np.uint64(0), MIRROR)
    )


def _join_alike(
    groups: Groups, images: Pictures, suspects: Iterator[Pairs], config: DuplicatesConfig
) -> None:
    """Join the groups of what looks the same.

    Pairs that a group holds already are not compared, so that a picture posted N times costs some N
    comparisons and not N squared.
    """
    waiting = [_NO_PAIRS]
    for pairs in suspects:
        waiting.append(pairs[groups.apart(*np.divmod(pairs, len(images)))])
        if sum(map(len, waiting)) >= SUSPECTS_AT_ONCE:
            _join_some(groups, images, np.concatenate(waiting), config)
            waiting = [_NO_PAIRS]
    _join_some(groups, images, np.concatenate(waiting), config)


def _join_some(groups: Groups, images: Pictures, pairs: Pairs, config: DuplicatesConfig) -> None:
    pairs = np.unique(pairs)
    while len(pairs := pairs[groups.apart(*np.divmod(pairs, len(images)))]):
        low, high = np.divmod(pairs[:COMPARED_AT_ONCE], len(images))
        views = images.thumbnails({*low.tolist(), *high.tolist()})
        for one, other in zip(low.tolist(), high.tolist(), strict=True):
            if groups.root(one) != groups.root(other) and (
                similarity(views[one], views[other]) >= config.similarity
            ):
                groups.join(one, other)
        pairs = pairs[COMPARED_AT_ONCE:]


_NO_PAIRS: Pairs = np.empty(0, np.int64)


def _suspects(
    images: Pictures, rows: Rows, num_posts: int, config: DuplicatesConfig, among_posts: bool
) -> Iterator[Pairs]:
    """Pieces of all pairs of which an anchor of one is near some hash of the other.

    Args:
        rows: what is looked at, ascending.
        num_posts: a pair holds a post, which is one of the first rows ...
        among_posts: ... and, unless this is true, no second one.

    Yields:
        Pairs, ascending, each once in a piece.
    """
    hashes, size = images.hashes, len(images)
    rows = rows[hashes[rows].any(axis=1)]
    anchors, anchor_rows = _anchors(hashes, rows)
    for start in range(0, len(rows), PICTURES_AT_ONCE):
        some = rows[start : start + PICTURES_AT_ONCE]
        views = np.concatenate([hashes[some].ravel(), hashes[some].ravel() ^ MIRROR])
        view_rows = np.tile(np.repeat(some, HASHES), 2)
        for query, place, _ in pairs_within(views, anchors, config.radius):
            one, other = view_rows[query], anchor_rows[place]
            low, high = np.minimum(one, other), np.maximum(one, other)
            wanted = (low < num_posts) & ((high > low) if among_posts else (high >= num_posts))
            yield np.unique(low[wanted] * size + high[wanted])


def _anchors(hashes: NDArray[np.uint64], rows: Rows) -> tuple[NDArray[np.uint64], Rows]:
    """The anchors of some rows, equal ones of a row once, and the row of each."""
    anchors = hashes[rows, :ANCHORS].ravel()
    different = np.ones(len(anchors), bool)
    different[1::ANCHORS] = anchors[1::ANCHORS] != anchors[::ANCHORS]
    return anchors[different], np.repeat(rows, ANCHORS)[different]


def _removals(images: Pictures, rows: list[int], num_posts: int, same: Rows) -> Iterator[Removal]:
    """Of one group: all posts if it holds an evaluation image, else all but the smallest id."""
    evaluation = [row for row in rows if row >= num_posts]
    _, keeper = min(zip(images.ids.take(pa.array(rows)).to_pylist(), rows, strict=True))
    for row in rows:
        if row >= num_posts or (row == keeper and not evaluation):
            continue
        kept = min(evaluation, key=lambda other: distance(images, row, other), default=keeper)
        reason = EVALUATION if evaluation else EXACT if same[row] == same[kept] else NEAR
        yield Removal(row, kept, reason, distance(images, row, kept))
