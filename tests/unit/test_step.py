"""One step: pieces add up, clipping clips, averages average, some weights go without decay."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from flat_model import CPU, LABELS, config, flat_stepper, make_batch
from small_model import Small

from hashnext.errors import ConfigError
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import build
from hashnext.recipes import nano
from hashnext.training.augment import AugmentConfig
from hashnext.training.loss import LossConfig
from hashnext.training.optimiser import OptimiserConfig, WeightAverage, make_optimiser
from hashnext.training.prefetch import DeviceBatch, upload
from hashnext.training.step import Stepper

BATCH = upload(make_batch(8), CPU)
MIXED = AugmentConfig(mixup=1.0)


def weights_after(rate: float = 0.1, steps: int = 1, **changes: object) -> torch.Tensor:
    stepper = flat_stepper(config(**changes))
    for number in range(steps):
        stepper.step(BATCH, 8, rate, 8 * number)
    return stepper.model.state_dict()["fc.weight"].clone()


@pytest.mark.parametrize("augment", [AugmentConfig(), MIXED])
@pytest.mark.parametrize("pieces", [3, 8, 11])
def test_a_batch_in_pieces_is_the_batch(augment: AugmentConfig, pieces: int) -> None:
    whole = weights_after(augment=augment)
    cut = weights_after(augment=augment, optimiser=OptimiserConfig(accumulate=pieces))
    torch.testing.assert_close(cut, whole)


def test_clipping_bounds_the_step() -> None:
    plain = OptimiserConfig(weight_decay=0.0)
    before, free = weights_after(0.0), weights_after(0.1, optimiser=plain) - weights_after(0.0)
    clipped = weights_after(0.1, optimiser=replace(plain, clip_norm=0.5)) - before
    norm = flat_stepper(config()).step(BATCH, 8, 0.0, 0).gradient_norm
    assert norm > 0.5
    torch.testing.assert_close(clipped, free * (0.5 / norm), rtol=1e-4, atol=1e-6)


def test_an_average_follows_at_its_half_life() -> None:
    stepper = flat_stepper(config(optimiser=OptimiserConfig(average_images=8)))
    start = stepper.model.state_dict()["fc.weight"].clone()
    stepper.step(BATCH, 8, 0.1, 0)
    now = stepper.model.state_dict()["fc.weight"]
    assert stepper.average is not None
    torch.testing.assert_close(stepper.average.state["fc.weight"], (start + now) / 2)


def test_an_average_takes_counters_over_as_they_are() -> None:
    network = build(nano().model, LABELS)
    average = WeightAverage(network, 100)
    network.bn1.num_batches_tracked += 7
    average.update(8)
    assert average.state["bn1.num_batches_tracked"] == 7


def test_norms_and_biases_can_go_without_decay() -> None:
    network = build(nano().model, LABELS)
    (all_of_them,) = make_optimiser(network, OptimiserConfig()).param_groups
    assert len(all_of_them["params"]) == len(list(network.parameters()))
    decayed, free = make_optimiser(network, OptimiserConfig(decay_all=False)).param_groups
    assert all(p.ndim > 1 for p in decayed["params"])
    assert free["weight_decay"] == 0
    assert len(decayed["params"]) + len(free["params"]) == len(all_of_them["params"])


def test_the_sigmoid_learns_too() -> None:
    loss = LossConfig(kind="sigmoid", label_smoothing=0.1)
    stepper = flat_stepper(config(loss=loss))
    first = [stepper.step(BATCH, 8, 0.02, 0).loss for _ in range(30)]
    assert first[-1] < 0.7 * first[0]


def test_bad_settings_name_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"optimiser\.clip-norm = -1"):
        OptimiserConfig(clip_norm=-1)
    with pytest.raises(ConfigError, match=r"optimiser\.accumulate = 0"):
        OptimiserConfig(accumulate=0)


def test_the_floor_is_that_of_the_mixed_targets() -> None:
    plain, mixed = (
        flat_stepper(config(augment=augment)).step(BATCH, 8, 0.0, 0)
        for augment in (AugmentConfig(), MIXED)
    )
    assert plain.floor == pytest.approx(8 * math.log(2))  # two labels an image
    assert plain.floor < mixed.floor < mixed.loss


def test_one_image_that_is_not_finite_is_told_from_those_it_spoils() -> None:
    """Batch norm makes all losses NaN, and neither weights nor statistics take any of it."""
    torch.manual_seed(0)
    settings = config(optimiser=OptimiserConfig(accumulate=2, average_images=8))
    network = build(settings.model, LABELS).to(memory_format=torch.channels_last)
    stepper = Stepper(
        network, make_optimiser(network, settings.optimiser), Preprocess(size=32), CPU, settings,
        average=WeightAverage(network, 8),
    )  # fmt: skip
    batch = upload(make_batch(8, size=32), CPU)
    images = batch.images.float()
    images[3, 0, 0, 0] = float("nan")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    spoilt = replace(batch, images=images)
    step = stepper.step(spoilt, 8, 0.1, 0)
    assert not math.isfinite(step.gradient_norm)
    assert step.losses.isnan().sum() == 4, "its piece of the batch"
    assert stepper.losses_alone(spoilt).isnan().nonzero().tolist() == [[3]]
    assert network.training
    for state in (network.state_dict(), stepper.average.state):  # type: ignore[union-attr]
        for name, value in before.items():
            assert torch.equal(state[name], value), name


def test_pieces_without_images_leave_no_trace_in_the_statistics() -> None:
    """A share of one image, in as many pieces as the others' shares."""
    one = upload(make_batch(1), CPU)
    (alone, _), (cut, norms) = (small_after(one, pieces) for pieces in (1, 8))
    assert cut["bn1.num_batches_tracked"] == 1
    for name, value in alone.items():
        torch.testing.assert_close(cut[name], value, msg=name)
    assert all(norm.momentum == 0.1 for norm in norms)


@pytest.mark.parametrize(("streams", "graphs"), [(4, 1), (3, 2)])
def test_a_short_share_is_not_compiled_for(streams: int, graphs: int) -> None:
    """Where all shares of whole batches have one size; otherwise a graph for any size is made."""
    seen = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        seen.append(inputs)
        return graph.forward

    torch.compiler.reset()
    stepper = flat_stepper(config(stream=replace(config().stream, streams=streams)))
    stepper.model.compile(backend=backend)
    found = [stepper.step(upload(make_batch(n), CPU), n, 0.0, 0).losses for n in (8, 8, 5, 3)]
    assert len(seen) == graphs
    again = flat_stepper(config()).step(upload(make_batch(5), CPU), 5, 0.0, 0).losses
    torch.testing.assert_close(found[2], again)
    torch.compile(lambda x: x + 1, backend=backend)(torch.ones(2))
    assert len(seen) == graphs + 1, "other networks are compiled as ever"


def small_after(
    batch: DeviceBatch, pieces: int
) -> tuple[dict[str, torch.Tensor], list[torch.nn.BatchNorm2d]]:
    """State of a network with batch norms after a step in some pieces, and its batch norms."""
    network, settings = Small(), config(optimiser=OptimiserConfig(accumulate=pieces))
    optimiser = make_optimiser(network, settings.optimiser)
    stepper = Stepper(network, optimiser, Preprocess(size=8), CPU, settings)
    stepper.step(batch, len(batch), 0.1, 0)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    return network.state_dict(), norms
