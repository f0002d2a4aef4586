"""Repeat-factor resampling by hashtag frequency.

With f(h) the share of posts that carry label h (Mahajan et al., ECCV 2018, supplement; the same
scheme as LVIS, Gupta et al., CVPR 2019, appendix B.2):

    r(h) = max(1, (t / f(h)) ** alpha)          r(I) = max of r(h) over the labels h of image I

alpha = 0 is natural, 0.5 square-root and 1 uniform sampling.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashnext.errors import ConfigError

Floats = NDArray[np.float64]

UNIFORM_EPOCH = 2.0
"""The default t makes the expected epoch this many times the posts at alpha = 1."""
FEW_RAISED = 0.05
"""Share of the labels below which resampling does next to nothing."""


@dataclass(frozen=True, kw_only=True)
class ResamplingConfig:
    """How often a post is shown in an epoch."""

    alpha: float = 0.5
    """Resampling strength: 0 natural, 0.5 square root, 1 uniform."""
    threshold: float | None = None
    """t, the label frequency under which posts are repeated; None finds the t at which the
    expected epoch is twice the posts at alpha = 1."""
    max_repeats: float = 20.0
    """Upper bound of r."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ConfigError("resampling.alpha", self.alpha, "must lie in 0..1")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError("resampling.threshold", self.threshold, "must lie in (0, 1]")
        if self.max_repeats < 1:
            raise ConfigError("resampling.max_repeats", self.max_repeats, "must be at least 1")


@dataclass(frozen=True)
class Resampling:
    """Repeat factors of the posts, and what they do."""

    factors: Floats
    """r(I), float64 (posts,)."""
    threshold: float
    """The t in force."""
    labels_raised: float
    """Share of the labels with r(h) > 1."""
    posts_capped: int
    """Posts whose factor was cut to max_repeats."""

    @property
    def expected_epoch(self) -> float:
        """Expected samples in an epoch."""
        return float(self.factors.sum())

    def warnings(self, config: ResamplingConfig) -> list[str]:
        """What the user should know before a run."""
        found = []
        if config.alpha > 0 and self.labels_raised < FEW_RAISED:
            found.append(
                f"resampling raises only {self.labels_raised:.1%} of the labels; "
                "a larger --resampling.threshold raises more"
            )
        if self.posts_capped:
            found.append(
                f"{self.posts_capped:,} posts are capped at "
                f"--resampling.max-repeats {config.max_repeats:g}"
            )
        return found


def resample(config: ResamplingConfig, frequencies: Floats, rarest: Floats) -> Resampling:
    """Repeat factor of every post.

    Since r(h) falls with f(h), a post's factor is that of its rarest label.

    Args:
        config: strength, threshold and cap.
        frequencies: f(h) of every label, float64 (labels,).
        rarest: f of each post's rarest label, float64 (posts,).
    """
    threshold = config.threshold or default_threshold(rarest, config.max_repeats)
    raw = np.maximum(1.0, (threshold / rarest) ** config.alpha)
    raised = frequencies[frequencies > 0] < threshold if config.alpha > 0 else np.zeros(1)
    return Resampling(
        factors=np.minimum(raw, config.max_repeats),
        threshold=threshold,
        labels_raised=float(np.mean(raised)),
        posts_capped=int((raw > config.max_repeats).sum()),
    )


def default_threshold(rarest: Floats, max_repeats: float) -> float:
    """The t at which the expected epoch is twice the posts at alpha = 1, by bisection.

    Where the cap keeps every t from reaching that, t = 1.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        factors = np.clip(middle / rarest, 1.0, max_repeats)
        if factors.mean() < UNIFORM_EPOCH:
            low = middle
        else:
            high = middle
    return high


def stochastic_round(factors: Floats, uniforms: Floats) -> NDArray[np.int64]:
    """Whole repeats with expectation `factors`: floor plus one where the uniform falls below."""
    floor = np.floor(factors)
    return (floor + (uniforms < factors - floor)).astype(np.int64)
