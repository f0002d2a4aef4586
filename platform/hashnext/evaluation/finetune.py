"""Full fine-tuning: the label head is replaced and every weight trained on the target's images.

Mahajan et al., ECCV 2018, section 3: pretraining serves as initialisation, and learning rate and
weight decay are searched on a held-out slice of the training set. They do not print their grid.
Ours is made of the rates 0.1, 0.01 and 0.001 and of two weight decays: none, and the 1e-4 that
ClassyVision's `resnext101_32x4d_fine_tuning_config.json` sets. There the three rates are the steps
of one schedule of 10 epochs, not a grid.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

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
GIB = 1 << 30

Pixels = Callable[[Tensor], Tensor]
"""From places int64 (b,) to decoded squares uint8 (b, S, S, 3)."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the selection slice chooses."""

    learning_rate: float
    """The initial one."""
    weight_decay: float
    """L2 penalty on all weights."""


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
    weight_decays: tuple[float, ...] = (1e-4, 0.0)
    """L2 penalties on all weights to choose from likewise, each with each learning rate."""
    memory_gib: float = 4.0
    """Decoded images are kept while they take no more than this; else they are decoded anew in
    every epoch."""

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
        if not self.weight_decays or min(self.weight_decays) < 0:
            raise ConfigError(
                "finetune.weight-decays", self.weight_decays, "at least one, none below 0"
            )
        if self.memory_gib < 0:
            raise ConfigError("finetune.memory-gib", self.memory_gib, "must not be negative")

    @property
    def grid(self) -> list[Setting]:
        """All settings to choose from."""
        pairs = product(self.learning_rates, self.weight_decays)
        return [Setting(learning_rate=rate, weight_decay=decay) for rate, decay in pairs]


def finetune(
    model: ResNeXt,
    preprocess: Preprocess,
    train: LabelledSet,
    config: FinetuneConfig,
    setting: Setting,
    seed: int,
) -> ResNeXt:
    """A fine-tuned copy of `model` whose output i stands for `train.classes[i]`.

    Args:
        model: the pretrained network; left as it is.
        preprocess: its input; crops of its size are drawn from the margin that it cuts off.
        train: images to train on.
        config: how to train.
        setting: learning rate and weight decay.
        seed: of the head, the order, the crops and the flips.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    device, generator = ready_device(), torch.Generator().manual_seed(seed)
    tuned = _with_new_head(model, train.num_classes, generator)
    tuned.to(device, memory_format=torch.channels_last).train()
    pixels = decoded(train, preprocess, config.memory_gib)
    targets = torch.from_numpy(np.searchsorted(train.classes, train.labels))
    parts = -(-len(train) // config.batch)
    optimiser = torch.optim.SGD(
        tuned.parameters(), lr=setting.learning_rate, momentum=config.momentum,
        weight_decay=setting.weight_decay, nesterov=True,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * parts)
    title = f"fine-tune, rate {setting.learning_rate:g}, decay {setting.weight_decay:g}"
    total = config.epochs * len(train)
    with progress.meter(title, total, "images") as meter:
        for epoch in range(config.epochs):
            order = torch.randperm(len(train), generator=generator)
            for rows in order.tensor_split(parts):
                crops = augment(pixels(rows), preprocess.size, generator).to(device)
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


def decoded(images: LabelledSet, preprocess: Preprocess, memory_gib: float) -> Pixels:
    """Central squares of images, as large as evaluation resizes to before it crops.

    Args:
        images: encoded.
        preprocess: the network's input.
        memory_gib: all are decoded now if they take no more, else each batch when it is asked for.

    Raises:
        DataError: an image cannot be decoded; the message names its id. So does what is returned.
    """
    side = round(preprocess.size / preprocess.crop_fraction)
    crop = partial(quick_crop, size=side, crop_fraction=1.0)

    def some(rows: Tensor) -> Tensor:
        places = rows.tolist()
        encoded, ids = [images.images[n] for n in places], [images.ids[n] for n in places]
        return torch.from_numpy(np.stack(list(decode_cropped(encoded, ids, crop))))

    if len(images) * side * side * 3 > memory_gib * GIB:
        return some
    whole = some(torch.arange(len(images)))
    return lambda rows: whole[rows]
