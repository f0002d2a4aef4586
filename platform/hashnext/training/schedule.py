"""Learning rate as a function of images seen: linear warm-up, then halvings or half a cosine.

Goyal et al. 2017 (linear scaling, warm-up); Mahajan et al., ECCV 2018, section 2.2 (halvings);
Loshchilov and Hutter, ICLR 2017 (cosine).
"""

import math
from dataclasses import dataclass
from typing import Literal

from hashnext.errors import ConfigError

REFERENCE_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Length of the run and learning rate along it, in images seen."""

    images: int
    """Length of the run, in images processed."""
    warmup_images: int
    """Length of the linear warm-up, in images."""
    decay: Literal["halvings", "cosine"] = "halvings"
    """How the rate falls after the warm-up: in steps, or to zero along half a cosine."""
    halvings: int = 10
    """How often the learning rate is halved, at equal intervals after the warm-up."""
    base_learning_rate: float = 0.1
    """Learning rate for a batch of 256 images; scales linearly with the global batch."""

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ConfigError("schedule.images", self.images, "must be at least 1")
        if not 0 <= self.warmup_images < self.images:
            raise ConfigError(
                "schedule.warmup-images", self.warmup_images,
                f"must lie in 0..{self.images - 1}, before the end of the run",
            )  # fmt: skip
        if self.decay not in ("halvings", "cosine"):
            raise ConfigError("schedule.decay", self.decay, "must be halvings or cosine")
        if self.halvings < 0:
            raise ConfigError("schedule.halvings", self.halvings, "must not be negative")
        if self.base_learning_rate <= 0:
            raise ConfigError(
                "schedule.base-learning-rate", self.base_learning_rate, "must be positive"
            )


def learning_rate(config: ScheduleConfig, batch: int, images_seen: int) -> float:
    """Learning rate of the step that starts after `images_seen` images.

    peak = base x batch / 256. Warm-up rises linearly from base, at the first step, to the peak;
    where that is no more than base, from 0, which would be at the step before the first. After it
    the run is cut into halvings + 1 equal parts, each with half the rate of the one before; or the
    rate is peak x (1 + cos(pi x share of the rest that is done)) / 2.
    """
    peak = config.base_learning_rate * batch / REFERENCE_BATCH
    if images_seen < config.warmup_images:
        base = config.base_learning_rate
        if peak > base:
            return base + (peak - base) * images_seen / config.warmup_images
        return peak * (images_seen + batch) / (config.warmup_images + batch)
    rest, done = config.images - config.warmup_images, images_seen - config.warmup_images
    if config.decay == "cosine":
        return peak * (1 + math.cos(math.pi * min(done / rest, 1))) / 2
    return float(peak * 0.5 ** min(done * (config.halvings + 1) // rest, config.halvings))
