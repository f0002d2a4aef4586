"""Learning rate as a function of images seen: linear warm-up, then halvings at equal intervals.

Goyal et al. 2017 (linear scaling, warm-up); Mahajan et al., ECCV 2018, section 2.2 (halvings).
"""

from dataclasses import dataclass

from hashnext.errors import ConfigError

REFERENCE_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Length of the run and learning rate along it, in images seen."""

    images: int
    """Length of the run, in images processed."""
    warmup_images: int
    """Length of the linear warm-up, in images."""
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
        if self.halvings < 0:
            raise ConfigError("schedule.halvings", self.halvings, "must not be negative")
        if self.base_learning_rate <= 0:
            raise ConfigError(
                "schedule.base-learning-rate", self.base_learning_rate, "must be positive"
            )


def learning_rate(config: ScheduleConfig, batch: int, images_seen: int) -> float:
    """Learning rate of the step that starts after `images_seen` images.

    peak = base x batch / 256. Warm-up rises linearly from min(base, peak) to the peak; the rest of
    the run is cut into halvings + 1 equal parts, each with half the rate of the one before.
    """
    peak = config.base_learning_rate * batch / REFERENCE_BATCH
    if images_seen < config.warmup_images:
        start = min(config.base_learning_rate, peak) if peak > config.base_learning_rate else 0.0
        return start + (peak - start) * (images_seen + batch) / (config.warmup_images + batch)
    rest = config.images - config.warmup_images
    done = (images_seen - config.warmup_images) * (config.halvings + 1) // rest
    return float(peak * 0.5 ** min(done, config.halvings))
