"""Augmentation: torchvision's colours, replayable draws, mixed targets that stay sparse."""

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_model import CPU, LABELS, SIZE, Told, batches_from, flat_stepper, make_batch, part
from flat_model import config as run_config
from torch.nn.functional import cross_entropy
from torchvision.transforms.v2 import functional as reference

from hashnext.errors import ConfigError
from hashnext.shards.ledger import Ledger
from hashnext.training.augment import (
    AugmentConfig,
    Mix,
    blend,
    colour_factors,
    draw_mix,
    jitter,
)
from hashnext.training.checkpoint import TrainingState
from hashnext.training.loop import Loop, Wish
from hashnext.training.prefetch import DeviceBatch, upload
from hashnext.training.step import Step, Stepper
from hashnext.training.worker import Trainee

COLOURS = AugmentConfig(brightness=0.4, contrast=0.3, saturation=0.2)


@dataclass
class Drawn:
    """Takes steps, and keeps weight and box of every batch's mix."""

    stepper: Stepper
    mixes: list[tuple[float, tuple[int, int, int, int] | None]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stepper, name)

    def step(self, batch: DeviceBatch, total: int, rate: float, images_seen: int) -> Step:
        settings = self.stepper.config
        mix = draw_mix(settings.augment, settings.seed, images_seen, len(batch), SIZE)
        assert mix is not None
        self.mixes.append((mix.own, mix.box))
        return self.stepper.step(batch, total, rate, images_seen)


def test_colours_are_torchvisions() -> None:
    pixels = torch.from_numpy(make_batch(1).images)
    for place, name in enumerate(("brightness", "contrast", "saturation")):
        factors = torch.ones(1, 3)
        factors[0, place] = 1.3
        found = jitter(pixels, factors)
        planes = pixels.permute(0, 3, 1, 2) / 255
        expected = getattr(reference, f"adjust_{name}")(planes, 1.3) * 255
        assert torch.allclose(found, expected.permute(0, 2, 3, 1), atol=0.05)


def test_a_factor_of_one_changes_nothing() -> None:
    pixels = torch.from_numpy(make_batch().images)
    assert torch.allclose(jitter(pixels, torch.ones(6, 3)), pixels.float(), atol=1e-4)


def test_colours_do_not_depend_on_the_number_of_workers() -> None:
    batch = make_batch()
    whole = colour_factors(COLOURS, 3, batch)
    assert whole is not None
    for rank in range(2):
        mine = batch.samples.streams % 2 == rank
        share = colour_factors(COLOURS, 3, part(batch, mine))
        assert share is not None
        assert (share == whole[mine]).all()
    assert (colour_factors(COLOURS, 4, batch) != whole).any()
    assert np.abs(whole - 1).max(axis=0) == pytest.approx([0.4, 0.3, 0.2], rel=0.6)
    assert (np.abs(whole - 1) <= [0.4001, 0.3001, 0.2001]).all()
    assert colour_factors(AugmentConfig(), 3, batch) is None


def test_a_mix_is_the_same_for_every_worker_but_for_partners() -> None:
    config = AugmentConfig(mixup=0.4, cutmix=1.0)
    mixes = [draw_mix(config, 0, step * 32, 16, 64) for step in range(200)]
    assert mixes == [draw_mix(config, 0, step * 32, 16, 64) for step in range(200)]
    other = [draw_mix(config, 0, step * 32, 9, 64) for step in range(200)]
    for one, two in zip(mixes, other, strict=True):
        assert one is not None
        assert two is not None
        assert (one.own, one.box) == (two.own, two.box)
        assert 1 <= one.shift <= 15
        assert 1 <= two.shift <= 8
    assert 60 < sum(mix is not None and mix.box is None for mix in mixes) < 140
    assert draw_mix(config, 0, 0, 1, 64) is None, "nobody to mix with"
    assert draw_mix(AugmentConfig(), 0, 0, 16, 64) is None


def test_a_mix_is_the_same_whatever_came_before(tmp_path: Path) -> None:
    """A run without incident, beside one whose first batch loses samples and that is stopped."""
    settings = run_config(augment=AugmentConfig(mixup=0.4, cutmix=1.0), seed=5)

    def run(name: str, state: TrainingState, lost: int, wishes: list[Wish]) -> Drawn:
        stepper = Drawn(flat_stepper(settings))
        batches = list(batches_from(state.images_seen, settings))
        if lost:
            batches[0] = upload(part(make_batch(8, seed=0), np.arange(8) >= lost), CPU)
        around = Told(tmp_path / name, wishes=wishes)
        trainee = Trainee(stepper.stepper.model, stepper.stepper)
        Loop(
            config=settings, stepper=stepper, around=around, snapshot=trainee.snapshot, flops=1e6
        ).run(iter(batches), state)
        return stepper

    start = TrainingState(0, Ledger.empty(settings.stream.streams))
    whole = run("whole", deepcopy(start), 0, [])
    stopped = run("stopped", start, 3, [Wish.GO_ON, Wish.GO_ON, Wish.STOP])
    went_on = run("stopped", start, 0, [])
    assert len(whole.mixes) == 8
    assert len(stopped.mixes) == 3
    assert stopped.mixes + went_on.mixes == whole.mixes
    assert len(set(whole.mixes)) == 8


def test_cutmix_weighs_labels_by_area() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, SIZE, SIZE, 3).clone()
    for step in range(20):
        mix = draw_mix(AugmentConfig(cutmix=1.0), 1, step, 4, SIZE)
        assert mix is not None
        mixed = blend(images, mix)
        for i in range(4):
            partner = (i - mix.shift) % 4
            assert set(mixed[i].unique().tolist()) <= {float(i), float(partner)}
            assert (mixed[i] == i).float().mean() == pytest.approx(mix.own)


@pytest.mark.parametrize("config", [AugmentConfig(mixup=1.0), AugmentConfig(cutmix=1.0)])
def test_the_mixed_loss_is_that_of_the_dense_mixed_target(config: AugmentConfig) -> None:
    batch, stepper = make_batch(), flat_stepper(run_config(augment=config, seed=7))
    mix = draw_mix(config, 7, 96, 6, SIZE)
    assert mix is not None
    images = blend(torch.from_numpy(batch.images), mix)
    target = torch.zeros(6, LABELS)
    for i in range(6):
        target[i, batch.labels[2 * i : 2 * i + 2].astype(np.int64)] = 0.5
    mixed = mix.own * target + (1 - mix.own) * target.roll(mix.shift, 0)
    expected = cross_entropy(stepper.logits(images), mixed, reduction="sum")
    step = stepper.step(upload(batch, CPU), 6, 0.0, 96)
    assert step.loss == pytest.approx(float(expected.detach()), rel=1e-5)


def test_mixup_blends_with_the_partner() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, 2, 2, 3)
    mixed = blend(images, Mix(0.75, 1, None))
    assert mixed[:, 0, 0, 0].tolist() == [0.75, 0.75, 1.75, 2.75]


@pytest.mark.parametrize(("key", "value"), [("brightness", 1.5), ("mixup", -1.0), ("cutmix", 11.0)])
def test_bad_settings_name_key_and_value(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.{key} = {value}"):
        AugmentConfig(**{key: value})
