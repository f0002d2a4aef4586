"""One network over many devices: replicas, or shards of it, and what saves memory on each.

Weights and optimiser state go in and out whole, by parameter name, whatever the layout: a run may
go on with another number of workers, sharded or not.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import Bottleneck

from hashnext.errors import ConfigError

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """How a network lies on the devices; changes speed and memory, not what is computed."""

    layout: Literal["replicate", "shard"] = "replicate"
    """A whole network on every device (DDP), or the weights, gradients and optimiser state shared
    out over all of them (FSDP2)."""
    recompute: bool = False
    """Keep of each block only its input for the backward pass and compute the rest again: a third
    more work, a fraction of the memory (activation checkpointing)."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile the network; auto does where there is a GPU."""
    compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = "default"
    """Of torch.compile: reduce-overhead replays CUDA graphs, and max-autotune also tries kernels
    out before the first step. Which is fastest hangs on network, batch and GPU."""

    def __post_init__(self) -> None:
        if self.layout not in ("replicate", "shard"):
            raise ConfigError("parallel.layout", self.layout, "must be replicate or shard")
        if self.compile not in ("auto", "on", "off"):
            raise ConfigError("parallel.compile", self.compile, "must be auto, on or off")
        if self.compile_mode not in ("default", "reduce-overhead", "max-autotune"):
            raise ConfigError(
                "parallel.compile-mode", self.compile_mode,
                "must be default, reduce-overhead or max-autotune",
            )  # fmt: skip


def distribute(
    network: nn.Module, config: ParallelConfig, world: int, device: torch.device
) -> nn.Module:
    """The network, ready to train on `world` devices; its parameters may be other objects after.

    Convolutions are fastest with channels last, which shards cannot have: FSDP2 wants contiguous
    weights. Images and what follows from them are channels-last in either case. Shards are gathered
    in float32 and cast by autocast: FSDP2's own policy would cast batch norms' weights too, which
    PyTorch refuses beside statistics in float32.

    Args:
        network: the same on every worker.
        config: how.
        world: number of workers; above 1, `torch.distributed` has been initialised.
        device: this worker's.
    """
    sharded = world > 1 and config.layout == "shard"
    layout = torch.contiguous_format if sharded else torch.channels_last
    network.to(device, memory_format=layout)  # type: ignore[call-overload]  # torch's own stub
    if config.recompute:
        recompute_blocks(network)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # batches of a run have one shape
    wrapped: nn.Module = network
    if sharded:
        for block in network.modules():
            if isinstance(block, Bottleneck):
                fully_shard(block)
        fully_shard(network)  # in place
    elif world > 1:
        ids = [device] if device.type == "cuda" else None
        wrapped = DistributedDataParallel(network, device_ids=ids, gradient_as_bucket_view=True)
        wrapped.broadcast_buffers = False  # else the first worker's statistics replace all others'
    if config.compile == "on" or (config.compile == "auto" and device.type == "cuda"):
        wrapped.compile(mode=None if config.compile_mode == "default" else config.compile_mode)
    return wrapped


def synchronised(model: nn.Module, last: bool) -> AbstractContextManager[object]:
    """Exchange gradients in the backward pass of the block if it is the step's last."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(last)
    elif isinstance(model, DistributedDataParallel) and not last:
        return model.no_sync()
    return nullcontext()


def whole_state(
    network: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights and optimiser state on the CPU, by parameter name.

    Every worker has to ask; where the network is sharded only the first one gets an answer.
    """
    return (
        get_model_state_dict(network, options=WHOLE),
        get_optimizer_state_dict(network, optimiser, options=WHOLE),
    )


def whole_tensors(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, whole where they were shards, on every worker; every one has to ask."""
    return {k: v.full_tensor() if isinstance(v, DTensor) else v for k, v in state.items()}


def average_over_workers(tensors: list[torch.Tensor]) -> None:
    """Give every worker the mean of all workers' float tensors, in place; every one has to ask."""
    for tensor in tensors:
        distributed.all_reduce(tensor)
        tensor /= distributed.get_world_size()


def restore(
    network: nn.Module, optimiser: torch.optim.Optimizer,
    weights: dict[str, Any], momentum: dict[str, Any],
) -> None:  # fmt: skip
    """Put whole states into a network that may be sharded; every worker has to ask.

    How an update is computed hangs on the layout, not on the state: what was saved from replicas
    would ask for a fused update, which shards do not have.
    """
    own = [{key: group[key] for key in ("fused", "foreach")} for group in optimiser.param_groups]
    set_model_state_dict(network, weights, options=WHOLE)
    set_optimizer_state_dict(network, optimiser, momentum, options=WHOLE)
    for group, kept in zip(optimiser.param_groups, own, strict=True):
        group.update(kept)


@contextmanager
def statistics_stand_still(network: nn.Module) -> Iterator[None]:
    """Batch norms inside normalise as in training, and take in nothing of it."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None  # else each would be counted up
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked


def recompute_blocks(network: nn.Module) -> None:
    """Let each bottleneck block forget what is inside it until the backward pass."""
    for block in network.modules():
        if isinstance(block, Bottleneck):
            block.forward = partial(_recomputed, block, block.forward)


def _recomputed(block: nn.Module, forward: Callable[..., Any], x: torch.Tensor) -> Any:
    if not torch.is_grad_enabled():
        return forward(x)
    if torch.compiler.is_compiling():  # a graph writes statistics once, whatever it computes twice
        return checkpoint(forward, x, use_reentrant=False)
    contexts = partial(_contexts, block)
    return checkpoint(forward, x, use_reentrant=False, context_fn=contexts)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[object], Any]:
    """What the first pass of a block runs in, and what its repetition runs in."""
    return nullcontext(), statistics_stand_still(block)
