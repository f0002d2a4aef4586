"""Augmentation on the device beside mirroring: colour jitter, mixup, cutmix; off by default.

The paper mirrors and crops, and no more (crops are made where images are decoded). A sample's own
draws come from (seed, epoch, post, repeat), and do not depend on the number of workers.

A batch's draws, the weight and the box of its mix, come from (seed, images seen). That number is
the place of the batch's first sample in the run's order (hashnext.shards.order), which holds every
(epoch, post, repeat) once: in a run, each names the other. The number is drawn from, because the
sample itself is known to no worker but the one whose share it is in, and to none where it could not
be read. What came before does not matter: a sample that is lost counts as seen, and a run that is
continued counts on. Partners alone depend on the number of workers: the partner of a sample is
another one of the same worker's share of the batch, since images do not travel between workers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hashnext.errors import ConfigError
from hashnext.shards.batch import Batch
from hashnext.shards.draws import uniforms, words

COLOUR_DRAW, MIX_DRAW = 10, 11  # what a draw is for, beside those of hashnext.shards
GREY = (0.299, 0.587, 0.114)
"""Luminance of red, green and blue (ITU-R BT.601), as in torchvision."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What is done to training images after the crop; all off by default, as in the paper."""

    brightness: float = 0.0
    """Colours are multiplied by a factor from 1 - this to 1 + this."""
    contrast: float = 0.0
    """Distances from the image's mean luminance are multiplied by such a factor."""
    saturation: float = 0.0
    """Distances from each pixel's luminance are multiplied by such a factor."""
    mixup: float = 0.0
    """Strength alpha of mixup (Zhang et al., ICLR 2018): the weight of a batch's own images is
    drawn from Beta(alpha, alpha); 0 is off."""
    cutmix: float = 0.0
    """Strength alpha of cutmix (Yun et al., ICCV 2019), likewise; with both, a batch gets one."""

    def __post_init__(self) -> None:
        for key in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"augment.{key}", getattr(self, key), "must lie in 0..1")
        for key in ("mixup", "cutmix"):
            if not 0 <= getattr(self, key) <= 10:
                raise ConfigError(f"augment.{key}", getattr(self, key), "must lie in 0..10")


@dataclass(frozen=True)
class Mix:
    """How a batch is blended with its partners."""

    own: float
    """Weight of an image's own labels; the partner's have the rest."""
    shift: int
    """The partner of sample i is sample i - shift of the share, cyclically."""
    box: tuple[int, int, int, int] | None
    """Cutmix: (top, bottom, left, right) that shows the partner; None: mixup."""


def colour_factors(config: AugmentConfig, seed: int, batch: Batch) -> NDArray[np.float32] | None:
    """Factors of brightness, contrast and saturation, float32 (b, 3); None where all are off."""
    ranges = np.array([config.brightness, config.contrast, config.saturation])
    if not ranges.any():
        return None
    samples = batch.samples
    drawn = uniforms(
        seed, samples.epochs[:, None], batch.keys[:, None], samples.repeats[:, None], COLOUR_DRAW,
        np.arange(3),
    )  # fmt: skip
    return (1 + ranges * (2 * drawn - 1)).astype(np.float32)


def jitter(pixels: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast, saturation, in this order, as torchvision's ColorJitter does each.

    Args:
        pixels: (b, H, W, 3), 0 to 255.
        factors: float (b, 3).

    Returns:
        float32 (b, H, W, 3), 0 to 255.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    pixels = (pixels.float() * brightness).clamp(0, 255)
    pixels = _blend(pixels, _grey(pixels).mean(dim=(1, 2), keepdim=True), contrast)
    return _blend(pixels, _grey(pixels), saturation)


def draw_mix(
    config: AugmentConfig, seed: int, images_seen: int, share: int, size: int
) -> Mix | None:
    """How the batch after `images_seen` images is mixed; None where it is not.

    The weight and the box are the same for every worker; the partner lies within a worker's share.

    Args:
        config: strengths.
        seed: seed of the run.
        images_seen: place of the batch's first sample in the run's order, also where that is lost.
        share: samples of the batch that this worker has.
        size: side of the images, in pixels.
    """
    if share < 2 or not (config.mixup or config.cutmix):
        return None
    rng = np.random.default_rng(int(words(seed, images_seen, MIX_DRAW)))
    cut = config.cutmix > 0 and (config.mixup == 0 or rng.random() < 0.5)
    alpha = config.cutmix if cut else config.mixup
    own, centre, turn = float(rng.beta(alpha, alpha)), rng.random(2), rng.random()
    shift = 1 + int(turn * (share - 1))
    if not cut:
        return Mix(own, shift, None)
    half = size * (1 - own) ** 0.5 / 2
    top, left = (int(max(c * size - half, 0)) for c in centre)
    bottom, right = (int(min(c * size + half, size)) for c in centre)
    covered = (bottom - top) * (right - left) / size**2
    return Mix(1 - covered, shift, (top, bottom, left, right))


def blend(pixels: Tensor, mix: Mix) -> Tensor:
    """Blend each image with its partner, (b, H, W, 3); what is masked in cutmix stays as it is."""
    partner = pixels.roll(mix.shift, 0)
    if mix.box is None:
        return mix.own * pixels.float() + (1 - mix.own) * partner.float()
    top, bottom, left, right = mix.box
    mixed = pixels.clone()
    mixed[:, top:bottom, left:right] = partner[:, top:bottom, left:right]
    return mixed


def _blend(pixels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (other + factor * (pixels - other)).clamp(0, 255)


def _grey(pixels: Tensor) -> Tensor:
    red, green, blue = (value * plane for value, plane in zip(GREY, pixels.unbind(3), strict=True))
    return (red + green + blue).unsqueeze(3)  # a tensor of GREY would be a copy that is waited for
