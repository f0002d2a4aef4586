"""Named runs: each is a function that returns a whole configuration.

The ResNeXt-101 recipes follow Mahajan et al., ECCV 2018, section 2.3: batches of 8,064 images on
336 GPUs, learning rate 0.1 / 256 x batch after a warm-up, ten halvings, one pass over the corpus's
scale of images. Lengths are in images seen; set `--schedule.images` to your corpus.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError
from hashnext.models.resnext import ResNeXtConfig
from hashnext.shards.batch import StreamConfig
from hashnext.shards.resampling import ResamplingConfig
from hashnext.training.schedule import ScheduleConfig


def nano() -> PretrainConfig:
    """14 layers at 64 px, for a laptop and a few thousand posts.

    So short a run needs many small steps, residual branches that work from the start, and crops
    that keep most of a small image.
    """
    return PretrainConfig(
        model=ResNeXtConfig(
            blocks=(1, 1, 1, 1), groups=8, width_per_group=4, zero_init_residual=False
        ),
        stream=StreamConfig(size=64, min_crop_area=0.35, decoders=1),
        schedule=ScheduleConfig(
            images=30_000, warmup_images=3_000, halvings=5, base_learning_rate=0.2
        ),
        batch=32,
        checkpoint_images=10_000,
        log_images=2_000,
    )


def resnext50_32x4d() -> PretrainConfig:
    """ResNeXt-50 32x4d at 224 px, 100 million images, batch 2,048: one node of eight GPUs."""
    return PretrainConfig(
        model=ResNeXtConfig(),
        stream=StreamConfig(size=224),
        schedule=ScheduleConfig(images=100_000_000, warmup_images=5_000_000, halvings=10),
        batch=2_048,
    )


def resnext101(width_per_group: int) -> PretrainConfig:
    """ResNeXt-101 32xCd as in the paper: 940 million images, batch 8,064."""
    return replace(
        resnext50_32x4d(),
        model=ResNeXtConfig(blocks=(3, 4, 23, 3), width_per_group=width_per_group),
        stream=StreamConfig(size=224, streams=2_016, lanes=4),
        schedule=ScheduleConfig(images=940_000_000, warmup_images=50_000_000, halvings=10),
        batch=8_064,
        resampling=ResamplingConfig(alpha=0.5),
        checkpoint_images=10_000_000,
        log_images=1_000_000,
    )


RECIPES: dict[str, Callable[[], PretrainConfig]] = {
    "nano": nano,
    "resnext50_32x4d": resnext50_32x4d,
    **{f"resnext101_32x{c}d": partial(resnext101, c) for c in (4, 8, 16, 32, 48)},
}


def recipe(name: str) -> PretrainConfig:
    """The configuration of a named run.

    Raises:
        ConfigError: there is no recipe of that name.
    """
    if name not in RECIPES:
        raise ConfigError("recipe", name, f"must be one of {', '.join(RECIPES)}")
    return RECIPES[name]()
