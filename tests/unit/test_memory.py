"""The memory estimate against what autograd really keeps, and what is said when it is too much."""

from dataclasses import replace

import pytest
import torch

from hashnext.errors import ConfigError
from hashnext.models.resnext import build
from hashnext.recipes import nano, recipe
from hashnext.training.memory import GIB, estimate, require_memory
from hashnext.training.parallel import ParallelConfig, recompute_blocks

PLAIN, RECOMPUTED = ParallelConfig(), ParallelConfig(recompute=True)


def really_kept(batch: int, size: int, recompute: bool) -> int:
    """Bytes of the tensors that a forward pass leaves for the backward pass."""
    network = build(nano().model, 10).to(memory_format=torch.channels_last)
    if recompute:
        recompute_blocks(network)
    own = {p.data_ptr() for p in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = network(images)
    assert logits.requires_grad
    return sum(size for pointer, size in kept.items() if pointer not in own)


@pytest.mark.parametrize("parallel", [PLAIN, RECOMPUTED])
def test_the_estimate_is_what_autograd_keeps(parallel: ParallelConfig) -> None:
    config = replace(nano(), batch=32, bf16=False)
    measured = really_kept(32, config.stream.size, parallel.recompute)
    batch = 32 * 3 * config.stream.size**2
    found = estimate(config, parallel, 10, 1).activations - batch
    assert found == pytest.approx(measured, rel=0.05)


def test_what_saves_memory_saves_it() -> None:
    config = recipe("resnext50_32x4d")
    plain = estimate(config, PLAIN, 17_000, 8)
    assert plain.weights == pytest.approx(3 * 4 * 57.8e6, rel=0.01)  # 23.0M of trunk, 34.8M of head
    assert estimate(config, RECOMPUTED, 17_000, 8).activations < plain.activations / 3
    shards = estimate(config, ParallelConfig(layout="shard"), 17_000, 8)
    assert shards.weights == pytest.approx(plain.weights / 8, rel=0.01)
    full = replace(config, bf16=False)
    assert estimate(full, PLAIN, 17_000, 8).activations > 1.7 * plain.activations


def test_a_run_that_cannot_fit_is_refused_with_the_way_out() -> None:
    config = recipe("resnext50_32x4d")
    with pytest.raises(ConfigError) as found:
        require_memory(config, PLAIN, 1000, 8, 12 * GIB)
    text = str(found.value)
    assert text.startswith("batch = 2048: needs 16")
    assert "there are 12.0" in text
    assert "would fit with --workers.parallel.recompute or --optimiser.accumulate 2" in text
    with pytest.raises(ConfigError, match="needs more or larger devices"):
        require_memory(config, PLAIN, 1000, 8, GIB // 10)
    require_memory(config, PLAIN, 1000, 8, 20 * GIB)
