"""The configuration of a pretraining run, composed of the parts' own configurations."""

from dataclasses import dataclass, field, replace

from hashnext.errors import ConfigError
from hashnext.evaluation.thresholds import CalibrationConfig
from hashnext.models.resnext import ResNeXtConfig
from hashnext.shards.batch import StreamConfig
from hashnext.shards.resampling import ResamplingConfig
from hashnext.training.augment import AugmentConfig
from hashnext.training.loss import LossConfig
from hashnext.training.optimiser import OptimiserConfig
from hashnext.training.schedule import ScheduleConfig


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Everything that decides what a run computes."""

    model: ResNeXtConfig
    """Shape of the network."""
    stream: StreamConfig
    """Crops and streams."""
    schedule: ScheduleConfig
    """Length and learning rate."""
    batch: int
    """Images in a global batch, over all workers."""
    resampling: ResamplingConfig = field(default_factory=ResamplingConfig)
    """How often posts with rare hashtags are repeated."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Colours and mixing, off by default."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What the logits are held against."""
    label_noise: float = 0.0
    """Share of the training labels replaced by draws from all others (Mahajan et al., section 3.2):
    how much wrong hashtags cost."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """SGD."""
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    """What the thresholds in the package promise."""
    bf16: bool = True
    """Forward pass in bfloat16, where the hardware multiplies it natively."""
    seed: int = 0
    """Seed of weights, order, crops, flips and augmentation."""
    checkpoint_images: int = 1_000_000
    """Images between two checkpoints."""
    log_images: int = 100_000
    """Images between two points of the logged curves."""

    def __post_init__(self) -> None:
        if self.batch < self.stream.streams:
            raise ConfigError(
                "batch", self.batch, f"must be at least stream.streams = {self.stream.streams}"
            )
        if not 0 <= self.label_noise <= 1:
            raise ConfigError("label-noise", self.label_noise, "must lie in 0..1")
        for key in ("checkpoint_images", "log_images"):
            if getattr(self, key) < 1:
                raise ConfigError(key.replace("_", "-"), getattr(self, key), "must be at least 1")

    def shortened(self, images: int) -> "PretrainConfig":
        """The same run over another number of images, warm-up in proportion."""
        warmup = self.schedule.warmup_images * images // self.schedule.images
        return replace(self, schedule=replace(self.schedule, images=images, warmup_images=warmup))
