"""What a training step needs of a device's memory, worked out before it starts.

Weights, gradients, momentum and average are counted; the rest is the most that is alive at a time
in a forward and a backward pass, found by running both on tensors without contents.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.models.resnet import Bottleneck

from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError
from hashnext.models.resnext import ResNeXtConfig, build
from hashnext.training.alive import Alive
from hashnext.training.parallel import ParallelConfig, recompute_blocks
from hashnext.training.prefetch import DEPTH

GIB = 1 << 30
WORK_SPACE = 1.15
"""Allowance for what libraries take beside: buffers of convolutions, fragments."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one device at the peak of a step."""

    weights: int
    gradients: int
    """Whole ones also where the network is sharded, if a batch comes in pieces."""
    optimiser: int
    """Momentum, and the average of the weights if there is one."""
    gathered: int
    """Where the network is sharded: weights and gradients of the blocks at work, whole."""
    activations: int
    """The most of anything else during a worker's piece of a batch, and its batches."""

    @property
    def total(self) -> int:
        """With an allowance for the libraries."""
        parts = self.weights + self.gradients + self.optimiser + self.gathered + self.activations
        return int(parts * WORK_SPACE)

    def __str__(self) -> str:
        parts = {
            "weights": self.weights, "gradients": self.gradients, "optimiser": self.optimiser,
            **({"gathered shards": self.gathered} if self.gathered else {}),
            "activations": self.activations,
        }  # fmt: skip
        told = ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items())
        return f"{self.total / GIB:.2f} GiB ({told}, and {WORK_SPACE - 1:.0%} for libraries)"


def estimate(
    config: PretrainConfig, parallel: ParallelConfig, num_labels: int, world: int
) -> Memory:
    """Memory of one of `world` workers."""
    share = -(-config.batch // world)
    piece, size = -(-share // config.optimiser.accumulate), config.stream.size
    working = _peak(config.model, num_labels, piece, size, config.bf16, parallel.recompute)
    with torch.device("meta"):
        network = build(config.model, num_labels)
    weights, spread, gathered = _bytes(network), 1, 0
    if parallel.layout == "shard" and world > 1:
        spread, gathered = world, 2 * _whole_at_a_time(network)
    in_pieces = config.optimiser.accumulate > 1  # whose sum FSDP2 shares out after the last one
    copies = 2 if config.optimiser.average_images else 1
    batches = (1 + DEPTH) * share * size**2 * 3  # uint8, those on the device ahead of time too
    return Memory(
        weights // spread, weights // (1 if in_pieces else spread), copies * weights // spread,
        gathered, working + batches,
    )  # fmt: skip


def _bytes(module: nn.Module) -> int:
    return sum(4 * p.numel() for p in module.parameters())


def _whole_at_a_time(network: nn.Module) -> int:
    """Bytes of weights that FSDP2 gathers: stem and head throughout, a block and the next one."""
    blocks = sorted(_bytes(m) for m in network.modules() if isinstance(m, Bottleneck))
    return _bytes(network) - sum(blocks) + sum(blocks[-2:])


@lru_cache(maxsize=32)
def _peak(
    model: ResNeXtConfig, num_labels: int, images: int, size: int, bf16: bool, recompute: bool
) -> int:
    """Most bytes alive at a time in a step over some images, weights and their gradients apart."""
    alive = Alive()
    with FakeTensorMode():
        network = build(model, num_labels).train()
        if recompute:
            recompute_blocks(network)
        for parameter in network.parameters():
            parameter.register_post_accumulate_grad_hook(_forget_gradient)
        with alive, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(torch.empty(images, size, size, 3).permute(0, 3, 1, 2))
            torch.logsumexp(logits.float(), 1).sum().backward()  # type: ignore[no-untyped-call]
    return alive.most


def _forget_gradient(parameter: Tensor) -> None:
    parameter.grad = None  # it is counted with the weights


def require_memory(
    config: PretrainConfig, parallel: ParallelConfig, num_labels: int, world: int, available: int
) -> Memory:
    """Refuse a run that cannot fit, and name what would make it fit.

    Args:
        config, parallel, num_labels, world: the run.
        available: bytes free on a worker's device.

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
        f"needs {needed} on each of {world} workers, {available / GIB:.2f} are free; {advice}",
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
