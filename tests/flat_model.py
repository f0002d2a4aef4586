"""A small network without batch norm, made-up batches, and surroundings that do as told."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hashnext.config import PretrainConfig
from hashnext.models.preprocess import Preprocess
from hashnext.recipes import nano
from hashnext.shards.batch import Batch
from hashnext.shards.order import Samples
from hashnext.training.local import LocalSurroundings
from hashnext.training.loop import Wish
from hashnext.training.optimiser import WeightAverage, make_optimiser
from hashnext.training.prefetch import DeviceBatch, upload
from hashnext.training.step import Stepper

SIZE, LABELS = 8, 5
CPU = torch.device("cpu")


class Flat(torch.nn.Module):
    """Logits that depend on every pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = torch.nn.Linear(3 * SIZE * SIZE, LABELS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.flatten(1))


def make_batch(count: int = 6, seed: int = 0, size: int = SIZE) -> Batch:
    """Random pixels, two labels an image."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count)
    return Batch(
        images=rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8),
        offsets=np.arange(0, 2 * count + 1, 2),
        labels=np.concatenate([rng.permutation(LABELS)[:2] for _ in numbers]).astype(np.int32),
        flips=np.zeros(count, dtype=np.bool_), keys=rng.integers(0, 2**63, count).astype(np.uint64),
        samples=Samples(numbers, numbers * 0, numbers % 2, numbers % 4), skipped={}, missing={},
    )  # fmt: skip


def part(batch: Batch, chosen: np.ndarray) -> Batch:
    """Some samples of a batch, as another worker's share."""
    offsets = np.concatenate([[0], np.cumsum(np.diff(batch.offsets)[chosen])])
    labels = np.concatenate([batch.labels[2 * i : 2 * i + 2] for i in np.flatnonzero(chosen)])
    return Batch(
        batch.images[chosen], offsets, labels, batch.flips[chosen], batch.keys[chosen],
        batch.samples.where(chosen), {}, {},
    )  # fmt: skip


def config(**changes: Any) -> PretrainConfig:
    """64 images in batches of 8, in float32."""
    base = nano().shortened(64)
    stream = replace(base.stream, size=SIZE, streams=4)
    few = replace(base, stream=stream, batch=8, bf16=False, checkpoint_images=16, log_images=8)
    return replace(few, **changes)


def flat_stepper(settings: PretrainConfig) -> Stepper:
    """Takes steps with the small network."""
    model = Flat()
    half_life = settings.optimiser.average_images
    average = WeightAverage(model, half_life) if half_life else None
    return Stepper(
        model, make_optimiser(model, settings.optimiser), Preprocess(size=SIZE), CPU, settings,
        average=average,
    )  # fmt: skip


def batches_from(images_seen: int, settings: PretrainConfig) -> Iterator[DeviceBatch]:
    """The batches of a run from some image on."""
    for start in range(images_seen, settings.schedule.images, settings.batch):
        yield upload(make_batch(settings.batch, seed=start), CPU)


@dataclass
class Told(LocalSurroundings):
    """Wishes come from a list; what is reported is kept."""

    folder: Path
    threads: int = 1
    wishes: list[Wish] = field(default_factory=list)
    reports: list[dict[str, float]] = field(default_factory=list)

    def wish(self) -> Wish:
        return self.wishes.pop(0) if self.wishes else Wish.GO_ON

    def report(self, metrics: dict[str, float], write: Any) -> bool:
        self.reports.append(metrics)
        return super().report(metrics, write)
