"""Wrong labels on purpose: how much does noise in the hashtags cost?

Mahajan et al. (ECCV 2018, section 3.2, "robustness to label noise") replace a share p of the
hashtags by draws from their marginal distribution, leaving out the hashtag replaced.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hashnext.shards.draws import uniforms
from hashnext.shards.index import LabelIndex

WHICH_DRAW, WHAT_DRAW = 12, 13  # what a draw is for, beside those of the other modules


def with_noise(index: LabelIndex, share: float, seed: int) -> LabelIndex:
    """The same posts with some of their labels replaced.

    Each assignment is replaced with probability `share`, by the label of an assignment drawn from
    all those of other labels. A post that comes by a label twice keeps it once, so that no post is
    left without.

    Args:
        index: posts and labels.
        share: p, 0 to 1.
        seed: of the draws, which depend on nothing but it, the post and the label's place.
    """
    if not share or not len(index):
        return index
    counts = np.diff(index.offsets)
    posts = np.repeat(np.arange(len(index)), counts)
    places = np.arange(len(posts)) - index.offsets[:-1][posts]
    keys = index.keys[posts]
    replaced = uniforms(seed, keys, places, WHICH_DRAW) < share
    others = _others(index.labels, uniforms(seed, keys, places, WHAT_DRAW))
    labels = np.where(replaced, others, index.labels)
    stride = int(index.labels.max()) + 1
    pairs = np.sort(posts * stride + labels)
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    kept = np.bincount(pairs // stride, minlength=len(index))
    return replace(
        index, offsets=np.concatenate([[0], np.cumsum(kept)]),
        labels=(pairs % stride).astype(index.labels.dtype),
    )  # fmt: skip


def _others(labels: NDArray[np.int32], uniforms: NDArray[np.float64]) -> NDArray[np.int32]:
    """For each of (n,) labels that of an assignment of another one, drawn with (n,) uniforms in
    [0, 1); the same where there is no other."""
    ascending = np.sort(labels)
    start = np.searchsorted(ascending, labels, "left")
    same = np.searchsorted(ascending, labels, "right") - start
    place = (uniforms * (len(labels) - same)).astype(np.int64)
    place += np.where(place >= start, same, 0)
    return np.where(same < len(labels), ascending[np.minimum(place, len(labels) - 1)], labels)
