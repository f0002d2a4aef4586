"""SGD with Nesterov momentum, as in the paper, and how gradients are treated before it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from hashnext.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """From gradients to weights."""

    momentum: float = 0.9
    """Nesterov momentum."""
    weight_decay: float = 1e-4
    """L2 penalty."""
    decay_all: bool = True
    """Penalise all weights, as the paper does; otherwise batch norms and biases go free."""
    clip_norm: float = 0.0
    """Gradients are scaled down to this norm; 0 leaves them."""
    accumulate: int = 1
    """Pieces that a worker cuts its share of a batch into, one after the other in memory; batch
    norm then sees one piece at a time."""
    average_images: int = 0
    """Half-life, in images, of an exponential average of the weights that takes their place in
    evaluation and package; 0 is off."""

    def __post_init__(self) -> None:
        if not 0 < self.momentum < 1:
            raise ConfigError("optimiser.momentum", self.momentum, "must lie in (0, 1)")
        for key in ("weight_decay", "clip_norm", "average_images"):
            if getattr(self, key) < 0:
                name = key.replace("_", "-")
                raise ConfigError(f"optimiser.{name}", getattr(self, key), "must not be negative")
        if self.accumulate < 1:
            raise ConfigError("optimiser.accumulate", self.accumulate, "must be at least 1")


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.SGD:
    """SGD over all parameters; the schedule sets the learning rate before every step."""
    decayed = [p for p in model.parameters() if p.ndim > 1 or config.decay_all]
    free = [p for p in model.parameters() if p.ndim <= 1 and not config.decay_all]
    sharded = any(isinstance(p, DTensor) for p in model.parameters())  # fused is not for them yet
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.SGD(
        [group for group in groups if group["params"]], lr=0.0, momentum=config.momentum,
        weight_decay=config.weight_decay, nesterov=True,
        fused=not sharded, foreach=sharded,
    )  # fmt: skip


class WeightAverage:
    """Exponential moving average of a network's weights and batch-norm statistics.

    After every step, average = d x average + (1 - d) x weights, with d = 0.5 ^ (images of the step
    / half-life), so that it means the same whatever the batch.
    """

    def __init__(self, network: nn.Module, half_life: int) -> None:
        """
        Args:
            network: may be sharded; the average is laid out likewise.
            half_life: in images.
        """
        self.half_life = half_life
        followed = network.state_dict()  # shares the network's memory
        self.state = {key: value.detach().clone() for key, value in followed.items()}
        self.pairs = [(_own(self.state[key]), _own(followed[key])) for key in followed]

    @torch.no_grad()
    def update(self, images: int) -> None:
        """Take in the weights after a step over `images` images."""
        share = 1 - 0.5 ** (images / self.half_life)
        floats = [pair for pair in self.pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floats], [theirs for _, theirs in floats], share)
        for mine, theirs in self.pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Take over a saved average, whole tensors by name."""
        for key, value in self.state.items():
            whole = saved[key].to(value.device)
            if isinstance(value, DTensor):
                whole = distribute_tensor(whole, value.device_mesh, value.placements)
            value.copy_(whole)


def _own(tensor: Tensor) -> Tensor:
    """What of a tensor lies on this device."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor.detach()
