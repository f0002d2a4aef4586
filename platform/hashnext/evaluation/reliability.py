"""Whether probabilities mean what they say: confidence against what comes true.

The reliability diagram and the expected calibration error of Guo et al. 2017 (arXiv:1706.04599),
section 2, with one change. The softmax is trained on targets of 1/k for each of a post's k labels,
so its probability of a label is that of drawing it from the post's labels, and what comes true is
1/k where the first prediction is right. That it is right at all is more likely, and told beside.
Under sigmoids each label has a probability of its own, and both are the same.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hashnext.evaluation.calibration import fit_temperature
from hashnext.evaluation.predictions import Predictions
from hashnext.models.activation import probabilities

BINS = 15
"""Of equal width, as in the paper; empty ones are left out."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """First predictions by their confidence, the least sure bin first."""

    posts: list[int]
    """Posts in each bin, (b,)."""
    confidence: list[float]
    """Mean probability of the first prediction, (b,)."""
    target: list[float]
    """Mean share of the post's target that lies on it, (b,)."""
    right: list[float]
    """Share of posts for which it is right, (b,)."""
    error: float
    """Expected calibration error: mean |target - confidence| over bins, by posts."""

    def document(self) -> dict[str, Any]:
        """For `calibration.json`."""
        return asdict(self)


def reliability(posts: Predictions, temperatures: NDArray[np.float64]) -> Reliability:
    """Bins of the first predictions.

    Args:
        posts: predictions; every post has a label.
        temperatures: what each post's logits are divided by, (n,).
    """
    highest = posts.by_rows(
        lambda logits, own: probabilities(logits / own[:, None], posts.activation).amax(1),
        torch.from_numpy(temperatures).float(),
    )
    confidence = highest.double().numpy()
    first = posts.logits.argmax(1).numpy()
    right = np.bincount(posts.owners, weights=first[posts.owners] == posts.labels) > 0
    shared = posts.counts if posts.activation == "softmax" else 1
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    filled, places, sizes = np.unique(bins, return_inverse=True, return_counts=True)
    means = [
        np.bincount(places, weights=values, minlength=len(filled)) / sizes
        for values in (confidence, right / shared, right)
    ]
    return Reliability(
        posts=sizes.tolist(), confidence=means[0].tolist(), target=means[1].tolist(),
        right=means[2].tolist(),
        error=float((sizes * np.abs(means[1] - means[0])).sum() / len(posts)),
    )  # fmt: skip


def cross_fitted(posts: Predictions, half: NDArray[np.bool_], fitted: float) -> NDArray[np.float64]:
    """A temperature for each post that was fitted without it, on the other half: float64 (n,).

    Where all posts lie in one half, it is the one that was fitted on them.

    Args:
        posts: predictions; every post has a label.
        half: bool (n,), the one half.
        fitted: temperature that was fitted on it.
    """
    temperatures = np.full(len(posts), fitted)
    if half.any() and not half.all():
        temperatures[half] = fit_temperature(posts.where(~half)).temperature
    return temperatures
