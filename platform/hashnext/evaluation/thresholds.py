"""A threshold for each label: above it, the label is right with a stated precision.

Half of the held-out posts choose the thresholds and the temperature that their probabilities have,
the other half checks them. A label's threshold is
the lowest probability at which the lower 95 % bound (Wilson 1927) of the precision of its
predictions is at least the one stated. A label with so few predictions that no bound reaches that
high has none: for 0.8, eleven in a row must be right.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hashnext.errors import ConfigError
from hashnext.evaluation.bootstrap import Interval, mean_interval
from hashnext.evaluation.hashtags import hits, top_labels
from hashnext.evaluation.predictions import Predictions
from hashnext.models.activation import probabilities

FIRST = 10
"""Predictions of a post that may be given as an answer: as many as the endpoint gives unasked."""
Z = 1.645
"""Of a one-sided bound that holds in 95 % of cases."""


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """How many held-out posts are measured, and what calibration is to promise."""

    precision: float = 0.8
    """Share of right answers above a label's threshold."""
    posts: int = 50_000
    """Held-out posts that are measured, at most: those with the lowest keys, whatever the seed or
    the number of workers. One worker keeps their logits, 4 bytes a post and label."""

    def __post_init__(self) -> None:
        if self.posts < 1:
            raise ConfigError("calibration.posts", self.posts, "must be at least 1")
        if not 0 < self.precision < 1:
            raise ConfigError("calibration.precision", self.precision, "must lie in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds, and how they do on posts that did not choose them."""

    precision: float
    """What is stated."""
    values: list[float | None]
    """(V,) probabilities at the calibrated temperature; None where the evidence is too thin."""
    posts: int
    """Posts that they were checked on."""
    answers: int
    """Predictions of these posts that lie above their label's threshold."""
    answered_posts: int
    """Posts with at least one such answer."""
    found: Interval | None
    """Precision of the answers; None where there are none."""

    @property
    def labels(self) -> int:
        """Labels that have a threshold."""
        return sum(value is not None for value in self.values)

    def figures(self) -> dict[str, Any]:
        """What the check has found."""
        found = self.found
        return {
            "precision_stated": self.precision,
            "labels_with_threshold": self.labels,
            "posts": self.posts,
            "answered_posts": self.answered_posts,
            "answers": self.answers,
            "precision": None if found is None else found.mean,
            "low": None if found is None else found.low,
            "high": None if found is None else found.high,
        }


@dataclass(frozen=True)
class Candidates:
    """The first predictions of some posts, one after the other."""

    labels: NDArray[np.int64]
    """(m,)"""
    probabilities: NDArray[np.float32]
    """(m,)"""
    right: NDArray[np.bool_]
    """(m,)"""
    posts: NDArray[np.int64]
    """Place of the post, (m,)."""


def calibrated_thresholds(
    posts: Predictions, half: NDArray[np.bool_], temperature: float, config: CalibrationConfig
) -> Thresholds:
    """Choose thresholds on one half and check them on the other.

    Args:
        posts: predictions.
        half: bool (n,), the posts that choose.
        temperature: what the logits are divided by.
        config: what is to be reached.
    """
    values = choose(
        candidates(posts.where(half), temperature), posts.logits.shape[1], config.precision
    )
    others = candidates(posts.where(~half), temperature)
    above = others.probabilities >= values[others.labels]
    right = others.right[above]
    return Thresholds(
        precision=config.precision,
        values=[None if np.isinf(value) else float(value) for value in values],
        posts=int((~half).sum()),
        answers=len(right),
        answered_posts=len(np.unique(others.posts[above])),
        found=mean_interval(right) if len(right) else None,
    )


def candidates(posts: Predictions, temperature: float) -> Candidates:
    """The FIRST predictions of each post."""
    top = top_labels(posts.logits, FIRST)
    chances = posts.by_rows(
        lambda logits, own: probabilities(logits / temperature, posts.activation).gather(1, own),
        torch.from_numpy(top),
    )
    return Candidates(
        labels=top.ravel(),
        probabilities=chances.numpy().ravel(),
        right=hits(top, posts.offsets, posts.labels).ravel(),
        posts=np.repeat(np.arange(len(posts)), top.shape[1]),
    )


def choose(found: Candidates, num_labels: int, precision: float) -> NDArray[np.float32]:
    """Lowest probability of each label from which on the bound holds: (V,), infinite without one.

    Args:
        found: predictions to choose by.
        num_labels: V.
        precision: what the lower bound has to reach.
    """
    order = np.lexsort((-found.probabilities, found.labels))
    labels, probabilities = found.labels[order], found.probabilities[order]
    right = np.cumsum(found.right[order])
    starts = np.searchsorted(labels, labels)
    before = np.concatenate([[0], right])[starts]
    bound = wilson_lower_bound(right - before, np.arange(len(labels)) - starts + 1)
    # Equal probabilities are above a threshold together, so the last of them speaks for all.
    last = np.append((np.diff(labels) != 0) | (np.diff(probabilities) != 0), True)[: len(labels)]
    kept = last & (bound >= precision)
    thresholds = np.full(num_labels, np.inf, np.float32)
    np.minimum.at(thresholds, labels[kept], probabilities[kept])
    return thresholds


def wilson_lower_bound(
    right: NDArray[np.int64], answers: NDArray[np.int64], z: float = Z
) -> NDArray[np.float64]:
    """Lower end of Wilson's score interval of right / answers, (n,), answers >= 1."""
    share, square = right / answers, z * z
    centre = share + square / (2 * answers)
    margin = z * np.sqrt(share * (1 - share) / answers + square / (4 * answers**2))
    bound: NDArray[np.float64] = (centre - margin) / (1 + square / answers)
    return bound
