"""95 % bootstrap intervals: of a mean over examples, of a mean over classes, and of a paired
difference of two means.

Percentile bootstrap (Efron & Tibshirani 1993, chapter 13). The mean of a resample depends only on
how often each distinct score is drawn, and those counts are multinomial; drawing the counts gives
the same distribution as drawing examples, and for 0/1 scores costs one binomial a resample.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
LEVEL = 0.95

Scores = NDArray[np.float64] | NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True when the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def mean_interval(scores: Scores, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Interval of the mean of one score an example, (n,) with n >= 1."""
    assert len(scores), "the mean of no examples"
    values, counts = np.unique(np.asarray(scores, dtype=np.float64), return_counts=True)
    n = len(scores)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    return _interval(float(counts @ values / n), drawn @ values / n)


def class_mean_interval(
    scores: Scores,
    labels: NDArray[np.int64],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of the mean score averaged over classes; every class is resampled by itself.

    Args:
        scores: (n,) with n >= 1.
        labels: (n,), the class of each example.
        seed: of the resamples.
        resamples: how many are drawn.
    """
    assert len(labels), "the mean of no examples"
    _, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    random, drawn, total = np.random.default_rng(seed), np.zeros(resamples), 0.0
    by_class = np.split(np.asarray(scores, np.float64)[np.argsort(places)], np.cumsum(sizes)[:-1])
    for size, own in zip(sizes, by_class, strict=True):
        values, counts = np.unique(own, return_counts=True)
        drawn += random.multinomial(size, counts / size, resamples) @ values / size
        total += float(counts @ values) / size
    return _interval(total / len(sizes), drawn / len(sizes))


def difference_interval(
    ours: Scores, theirs: Scores, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Interval of mean(ours) - mean(theirs), both scored on the same examples in the same order."""
    assert len(ours) == len(theirs), "paired scores need the same examples"
    return mean_interval(
        np.asarray(ours, np.float64) - np.asarray(theirs, np.float64), seed, resamples
    )


def _interval(mean: float, drawn: NDArray[np.float64]) -> Interval:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(mean=mean, low=float(low), high=float(high))
