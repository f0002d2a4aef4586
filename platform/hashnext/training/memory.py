"""What a training step needs of a device's memory, worked out before it starts.

Weights, gradients, momentum and average are counted; activations are those that autograd really
keeps for the backward pass, found by running it on tensors without contents.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError
from hashnext.models.resnext import build
from hashnext.training.parallel import ParallelConfig, recompute_blocks

GIB = 1 << 30
WORK_SPACE = 1.15
"""Allowance for what libraries take beside: buffers of convolutions, fragments."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one device at the peak of a step."""

    weights: int
    """Weights, gradients, momentum, and the average if there is one."""
    activations: int
    """What the backward pass needs of a worker's share of a batch, and the batch itself."""

    @property
    def total(self) -> int:
        """With an allowance for the libraries."""
        return int((self.weights + self.activations) * WORK_SPACE)


def estimate(
    config: PretrainConfig, parallel: ParallelConfig, num_labels: int, world: int
) -> Memory:
    """Memory of one of `world` workers."""
    share = -(-config.batch // (world * config.optimiser.accumulate))
    with FakeTensorMode():
        network = build(config.model, num_labels).train()
        if parallel.recompute:
            recompute_blocks(network)
        weights = sum(4 * p.numel() for p in network.parameters())
        of_two, of_three = (_kept_for_backward(network, config, images) for images in (2, 3))
    copies = 4 if config.optimiser.average_images else 3
    spread = world if parallel.layout == "shard" else 1
    images = -(-config.batch // world) * config.stream.size**2 * 3
    kept = of_two + (share - 2) * (of_three - of_two)  # weights cast to bfloat16 do not grow
    return Memory(weights * copies // spread, kept + images)


def _kept_for_backward(network: torch.nn.Module, config: PretrainConfig, images: int) -> int:
    """Bytes that autograd keeps of a step over some images, weights apart."""
    own = {_storage(p) for p in network.parameters()} | {_storage(b) for b in network.buffers()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    size = config.stream.size
    pixels = torch.empty(images, 3, size, size).contiguous(memory_format=torch.channels_last)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=config.bf16),
    ):
        logits = network(pixels)
        result = torch.logsumexp(logits.float(), 1).sum()
    return sum(kept.values()) if result.requires_grad else 0


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def require_memory(
    config: PretrainConfig, parallel: ParallelConfig, num_labels: int, world: int, available: int
) -> Memory:
    """Refuse a run that cannot fit, and name what would make it fit.

    Args:
        config, parallel, num_labels, world: the run.
        available: bytes of a worker's device.

    Raises:
        ConfigError: the estimate is above `available`.
    """
    needed = estimate(config, parallel, num_labels, world)
    if needed.total <= available:
        return needed
    helps: dict[str, str] = {}
    for name, (other, layout) in _alternatives(config, parallel, world).items():
        option = name.split()[0]
        if option not in helps and estimate(other, layout, num_labels, world).total <= available:
            helps[option] = name
    advice = (
        f"would fit with {' or '.join(helps.values())}" if helps else "needs more or larger devices"
    )
    raise ConfigError(
        "batch", config.batch,
        f"needs {needed.total / GIB:.1f} GiB on each of {world} workers (weights, gradients and "
        f"optimiser {needed.weights / GIB:.1f}, activations {needed.activations / GIB:.1f}), there "
        f"are {available / GIB:.1f}; {advice}",
    )  # fmt: skip


def _alternatives(
    config: PretrainConfig, parallel: ParallelConfig, world: int
) -> dict[str, tuple[PretrainConfig, ParallelConfig]]:
    """What may be changed, by its option, cheapest first; the last changes batch norm a little."""
    found = {}
    if world > 1 and parallel.layout != "shard":
        found["--workers.parallel.layout shard"] = (config, replace(parallel, layout="shard"))
    if not parallel.recompute:
        found["--workers.parallel.recompute"] = (config, replace(parallel, recompute=True))
    thin = replace(parallel, recompute=True, layout="shard" if world > 1 else "replicate")
    if thin != parallel and len(found) > 1:
        found["--workers.parallel.recompute --workers.parallel.layout shard"] = (config, thin)
    for pieces in (2, 4, 8, 16, 32):
        if pieces > config.optimiser.accumulate and config.batch >= 2 * world * pieces:
            cut = replace(config, optimiser=replace(config.optimiser, accumulate=pieces))
            found[f"--optimiser.accumulate {pieces}"] = (cut, parallel)
    return found


def device_memory(device: torch.device, workers_here: int) -> int:
    """Bytes that one of the node's workers may use: its GPU's, or its share of the node's."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return _node_memory() // workers_here


def _node_memory() -> int:
    """Bytes of this machine, or of the container that we run in."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:  # no cgroups, version 2
        return whole
    return whole if limit == "max" else min(whole, int(limit))
