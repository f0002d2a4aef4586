"""The memory estimate against what a step really takes, and what is said when it is too much."""

import itertools
from dataclasses import replace

import pytest
import ray  # noqa: F401 - ships psutil and puts it on the path
import torch
from torch.profiler import ProfilerActivity, profile

import psutil  # isort: skip

from hashnext.errors import ConfigError
from hashnext.models.resnext import build
from hashnext.recipes import nano, recipe
from hashnext.training.device_memory import device_memory
from hashnext.training.memory import GIB, estimate, require_memory
from hashnext.training.optimiser import OptimiserConfig
from hashnext.training.parallel import ParallelConfig, recompute_blocks

PLAIN, RECOMPUTED = ParallelConfig(), ParallelConfig(recompute=True)


def really_alive(batch: int, size: int, recompute: bool) -> int:
    """Most bytes that PyTorch's allocator handed out at a time in a step, weights and their
    gradients apart."""
    network = build(nano().model, 10).to(memory_format=torch.channels_last)
    if recompute:
        recompute_blocks(network)
    for parameter in network.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))

    def step() -> None:
        images = torch.randn(batch, size, size, 3).permute(0, 3, 1, 2)
        torch.logsumexp(network(images), 1).sum().backward()

    step()  # what is allocated once does not count
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(itertools.accumulate(e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())))


@pytest.mark.parametrize("parallel", [PLAIN, RECOMPUTED])
def test_the_estimate_is_what_a_step_really_takes(parallel: ParallelConfig) -> None:
    config = replace(nano(), batch=32, bf16=False)
    measured = really_alive(32, config.stream.size, parallel.recompute)
    ahead = 3 * 32 * 3 * config.stream.size**2
    found = estimate(config, parallel, 10, 1).activations - ahead
    assert found == pytest.approx(measured, rel=0.05)


def test_a_step_in_pieces_takes_what_a_piece_takes() -> None:
    whole = estimate(replace(nano(), batch=32), PLAIN, 10, 1).activations
    pieces = replace(nano(), batch=64, optimiser=OptimiserConfig(accumulate=2))
    ahead = 3 * 32 * 3 * nano().stream.size ** 2
    assert estimate(pieces, PLAIN, 10, 1).activations == whole + ahead


def test_what_saves_memory_saves_it() -> None:
    config = recipe("resnext50_32x4d")
    plain = estimate(config, PLAIN, 17_000, 8)
    weights = 4 * 57.8e6  # 23.0M of trunk, 34.8M of head
    assert plain.weights == plain.gradients == plain.optimiser == pytest.approx(weights, rel=0.01)
    averaged = replace(config, optimiser=OptimiserConfig(average_images=1000))
    assert estimate(averaged, PLAIN, 17_000, 8).optimiser == 2 * plain.optimiser
    assert estimate(config, RECOMPUTED, 17_000, 8).activations < plain.activations / 2
    shards = estimate(config, ParallelConfig(layout="shard"), 17_000, 8)
    assert shards.weights == shards.gradients == pytest.approx(plain.weights / 8, rel=0.01)
    in_pieces = replace(config, optimiser=OptimiserConfig(accumulate=2))
    summed = estimate(in_pieces, ParallelConfig(layout="shard"), 17_000, 8)
    assert (summed.weights, summed.gradients) == (shards.weights, plain.gradients)
    # the head and two blocks of stage 4, of 5.5M and 4.5M parameters, and their gradients
    assert shards.gathered == pytest.approx(2 * 4 * (34.8e6 + 5.5e6 + 4.5e6), rel=0.01)
    assert plain.gathered == 0
    full = replace(config, bf16=False)
    assert estimate(full, PLAIN, 17_000, 8).activations > 1.7 * plain.activations


def test_a_run_that_cannot_fit_is_refused_with_the_way_out() -> None:
    config = recipe("resnext50_32x4d")
    with pytest.raises(ConfigError) as found:
        require_memory(config, PLAIN, 1000, 8, 12 * GIB)
    text = str(found.value)
    assert text.startswith("batch = 2048: needs 16")
    assert "activations 14.03, and 15% for libraries) on each of 8 workers, 12.00 are free" in text
    assert "would fit with --workers.parallel.recompute or --optimiser.accumulate 2" in text
    with pytest.raises(ConfigError, match="needs more or larger devices"):
        require_memory(config, PLAIN, 1000, 8, GIB // 10)
    require_memory(config, PLAIN, 1000, 8, 20 * GIB)


def test_the_memory_of_a_cpu_worker_is_its_share_of_what_is_free() -> None:
    alone, of_four = (device_memory(torch.device("cpu"), count) for count in (1, 4))
    assert 0 < alone < 1.1 * psutil.virtual_memory().available
    assert device_memory(torch.device("cpu"), 1, again=True) > alone
    assert of_four == pytest.approx(alone / 4, rel=0.2)  # others allocate meanwhile
