"""Full fine-tuning: the label head is replaced and every weight trained on the target's images.

Mahajan et al., ECCV 2018, section 3: pretraining serves as initialisation, and the learning rate is
searched on a held-out slice of the training set. The grid is ClassyVision's for this network.
"""

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hashnext import progress
from hashnext.errors import ConfigError
from hashnext.evaluation.crops import quick_crop
from hashnext.evaluation.features import decode_cropped, ready_device
from hashnext.evaluation.labelled import LabelledSet
from hashnext.models.precision import autocast
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import FEATURES, ResNeXt

HEAD_STD = 0.01


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """SGD with Nesterov momentum; the learning rate falls to zero along half a cosine."""

    epochs: int = 10
    """Passes over the training set."""
    batch: int = 64
    """Images in a step; the last ones of an epoch are spread over its steps."""
    learning_rates: tuple[float, ...] = (0.1, 0.01, 0.001)
    """Initial learning rates to choose from on the selection slice."""
    momentum: float = 0.9
    """Nesterov momentum."""
    weight_decay: float = 1e-4
    """L2 penalty on all weights."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError("finetune.epochs", self.epochs, "must be at least 1")
        if self.batch < 2:
            raise ConfigError("finetune.batch", self.batch, "must be at least 2, for batch norm")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise ConfigError(
                "finetune.learning-rates", self.learning_rates, "at least one, all above 0"
            )
        if not 0 < self.momentum < 1:
            raise ConfigError("finetune.momentum", self.momentum, "must lie in (0, 1)")
        if self.weight_decay < 0:
            raise ConfigError("finetune.weight-decay", self.weight_decay, "must not be negative")


def finetune(
    model: ResNeXt,
    preprocess: Preprocess,
    train: LabelledSet,
    config: FinetuneConfig,
    learning_rate: float,
    seed: int,
) -> ResNeXt:
    """A fine-tuned copy of `model` whose output i stands for `train.classes[i]`.

    Args:
        model: the pretrained network; left as it is.
        preprocess: its input; crops of its size are drawn from the margin that it cuts off.
        train: images to train on; decoded once and kept in memory as uint8.
        config: how to train.
        learning_rate: the initial one.
        seed: of the head, the order, the crops and the flips.
    """
    device, generator = ready_device(), torch.Generator().manual_seed(seed)
    tuned = _with_new_head(model, train.num_classes, generator)
    tuned.to(device, memory_format=torch.channels_last).train()
    pixels = _decode_whole(train, preprocess)
    targets = torch.from_numpy(np.searchsorted(train.classes, train.labels))
    parts = -(-len(train) // config.batch)
    optimiser = torch.optim.SGD(
        tuned.parameters(), lr=learning_rate, momentum=config.momentum,
        weight_decay=config.weight_decay, nesterov=True,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * parts)
    title, total = f"fine-tune, learning rate {learning_rate:g}", config.epochs * len(train)
    with progress.meter(title, total, "images") as meter:
        for epoch in range(config.epochs):
            order = torch.randperm(len(train), generator=generator)
            for rows in order.tensor_split(parts):
                crops = augment(pixels[rows], preprocess.size, generator).to(device)
                with autocast(device):
                    logits = tuned(preprocess.normalise(crops))
                loss = cross_entropy(logits.float(), targets[rows].to(device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
            meter.update((epoch + 1) * len(train), f"loss {float(loss.detach()):.3f}")
    return tuned


def augment(pixels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Random windows of `size`, half of them mirrored: uint8 (b, size, size, 3).

    Args:
        pixels: uint8 (b, S, S, 3) with S >= size.
        size: side of the windows, in pixels.
        generator: decides windows and flips.
    """
    margin = pixels.shape[1] - size
    corners = torch.randint(margin + 1, (len(pixels), 2), generator=generator).tolist()
    windows = torch.stack(
        [p[y : y + size, x : x + size] for p, (y, x) in zip(pixels, corners, strict=True)]
    )
    mirrored = torch.rand(len(pixels), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], windows.flip(2), windows)


def _with_new_head(model: ResNeXt, num_classes: int, generator: torch.Generator) -> ResNeXt:
    tuned: ResNeXt = copy.deepcopy(model)
    tuned.fc = nn.Linear(FEATURES, num_classes)
    nn.init.normal_(tuned.fc.weight, std=HEAD_STD, generator=generator)
    nn.init.zeros_(tuned.fc.bias)
    return tuned


def _decode_whole(images: LabelledSet, preprocess: Preprocess) -> Tensor:
    """Central squares, as large as evaluation resizes to before it crops: uint8 (N, S, S, 3)."""
    side = round(preprocess.size / preprocess.crop_fraction)
    crop = partial(quick_crop, size=side, crop_fraction=1.0)
    return torch.from_numpy(np.stack(list(decode_cropped(images.images, images.ids, crop))))
