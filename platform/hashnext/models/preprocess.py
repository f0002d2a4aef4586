"""From decoded image to the network's input: the same in training, evaluation and serving."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from hashnext.errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of ImageNet's pixels; published weights expect them."""


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """How a decoded image becomes the network's input."""

    size: int
    """Side of the square input, in pixels."""
    crop_fraction: float = 0.875
    """Share of the short side that the central crop covers; 224 of 256 in the paper."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean of red, green and blue on a scale of 0 to 1."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Standard deviation of red, green and blue on a scale of 0 to 1."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError("preprocess.size", self.size, "must be at least 1")
        if not 0 < self.crop_fraction <= 1:
            raise ConfigError("preprocess.crop_fraction", self.crop_fraction, "must be in (0, 1]")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                "preprocess.mean, std", (self.mean, self.std), "three channels, every std above 0"
            )

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) as float32 (N, 3, H, W), (x / 255 - mean) / std, channels last."""
        mean, std = _of_bytes(self.mean, images.device), _of_bytes(self.std, images.device)
        return ((images - mean) / std).permute(0, 3, 1, 2)


@lru_cache(64)
def _of_bytes(channels: tuple[float, ...], device: torch.device) -> Tensor:
    """Values of channels, 0 to 1, as float32 (3,) from 0 to 255.

    Kept, because the copy to a GPU would let the host wait for all that the GPU has yet to do. A
    tensor made while predicting is a usual one, so that training may use it, too.
    """
    with torch.inference_mode(False):
        return torch.tensor(channels, device=device) * 255
