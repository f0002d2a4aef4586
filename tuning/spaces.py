"""What a sweep varies: vocabulary size, resampling strength, and what becomes of hypernyms."""

from dataclasses import dataclass, replace
from itertools import product

from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError
from hashnext.hashtags.view import DEFAULT_SPECIFICITY, Specificity

ALL = 0


@dataclass(frozen=True, kw_only=True)
class Space:
    """The grid of a sweep: every size with every strength."""

    max_labels: tuple[int, ...] = (ALL,)
    """Vocabulary sizes, most frequent labels first; 0 keeps them all."""
    alpha: tuple[float, ...] = (0.0, 0.5, 1.0)
    """Resampling strengths: 0 natural, 0.5 square root, 1 uniform."""
    specificity: tuple[Specificity, ...] = (DEFAULT_SPECIFICITY,)
    """What becomes of a label beside its hyponym on one post."""

    def __post_init__(self) -> None:
        for key in ("max_labels", "alpha", "specificity"):
            values = getattr(self, key)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"space.{key}", values, "needs one or more different values")
        if min(self.max_labels) < 0:
            raise ConfigError("space.max_labels", self.max_labels, "must not be negative")
        if min(self.alpha) < 0 or max(self.alpha) > 1:
            raise ConfigError("space.alpha", self.alpha, "must lie in 0..1")

    def points(self) -> list["Point"]:
        """Every point of the grid."""
        grid = product(self.max_labels, self.alpha, self.specificity)
        return [Point(*values) for values in grid]


@dataclass(frozen=True)
class Point:
    """One trial's settings."""

    max_labels: int
    alpha: float
    specificity: Specificity = DEFAULT_SPECIFICITY

    @property
    def name(self) -> str:
        """Name of the trial and of its folder."""
        labels = "all" if self.max_labels == ALL else str(self.max_labels)
        return "-".join(filter(None, (f"labels-{labels}-alpha-{self.alpha:g}", self.policy)))

    @property
    def policy(self) -> str:
        """The policy on hypernyms where it is not the default, else nothing."""
        return "" if self.specificity == DEFAULT_SPECIFICITY else self.specificity

    def applied(self, config: PretrainConfig) -> PretrainConfig:
        """The configuration with this point's resampling strength."""
        return replace(config, resampling=replace(config.resampling, alpha=self.alpha))
