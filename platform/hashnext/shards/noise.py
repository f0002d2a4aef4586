"""Wrong labels on purpose: how much does noise in the hashtags cost?

Mahajan et al. (ECCV 2018, section 3.2, "robustness to label noise") replace a share p of the
hashtags by draws from their marginal distribution.
"""

from dataclasses import replace

import numpy as np

from hashnext.shards.draws import uniforms
from hashnext.shards.index import LabelIndex

WHICH_DRAW, WHAT_DRAW = 12, 13  # what a draw is for, beside those of the other modules


def with_noise(index: LabelIndex, share: float, seed: int) -> LabelIndex:
    """The same posts with some of their labels replaced.

    Each assignment is replaced with probability `share`, by the label of an assignment drawn from
    all of them. A post that comes by a label twice keeps it once, so that no post is left without.

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
    drawn = (uniforms(seed, keys, places, WHAT_DRAW) * len(posts)).astype(np.int64)
    labels = np.where(replaced, index.labels[drawn], index.labels)
    stride = int(index.labels.max()) + 1
    pairs = np.sort(posts * stride + labels)
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    kept = np.bincount(pairs // stride, minlength=len(index))
    return replace(
        index, offsets=np.concatenate([[0], np.cumsum(kept)]),
        labels=(pairs % stride).astype(index.labels.dtype),
    )  # fmt: skip
