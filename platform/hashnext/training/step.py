"""One optimiser step on one device: batch to device, forward, loss, backward, update."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hashnext.errors import ConfigError
from hashnext.models.preprocess import Preprocess
from hashnext.shards.stream import Batch
from hashnext.training.loss import softmax_loss


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """SGD with Nesterov momentum, as in the paper."""

    momentum: float = 0.9
    """Nesterov momentum."""
    weight_decay: float = 1e-4
    """L2 penalty on all weights."""

    def __post_init__(self) -> None:
        if not 0 < self.momentum < 1:
            raise ConfigError("optimiser.momentum", self.momentum, "must lie in (0, 1)")
        if self.weight_decay < 0:
            raise ConfigError("optimiser.weight-decay", self.weight_decay, "must not be negative")


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.SGD:
    """SGD over all parameters; the schedule sets the learning rate before every step."""
    return torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=config.momentum,
        weight_decay=config.weight_decay, nesterov=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Stepper:
    """One network, its optimiser and where they are."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    preprocess: Preprocess
    device: torch.device
    bf16: bool
    """Forward pass under bfloat16 autocast; weights and loss stay float32."""
    world: int
    """Number of workers."""
    label_weights: Tensor | None = None
    """float (V,), how a post's labels share its target; None shares it evenly."""

    def step(self, batch: Batch, total: int, learning_rate: float) -> tuple[float, float]:
        """Take one step; every worker takes it, also one without samples.

        The gradient is that of the mean loss over the `total` samples of the global batch: each
        worker divides its sum by `total`, and the factor `world` undoes DDP's averaging.

        Returns:
            Sum of this worker's losses, and the norm of the gradient.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)
        losses = self._losses(batch) if len(batch) else self._no_losses(batch)
        (losses * (self.world / max(total, 1))).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        self.optimiser.step()
        return float(losses.detach()), norm

    def logits(self, images: NDArray[np.uint8], flips: NDArray[np.bool_]) -> Tensor:
        """Forward pass of uint8 (b, size, size, 3); mirrored where `flips` (b,) says so."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # read-only shared memory, which nobody writes
            pixels = torch.from_numpy(images).to(self.device, non_blocking=True)
        mirrored = torch.from_numpy(flips).to(self.device)[:, None, None, None]
        pixels = torch.where(mirrored, pixels.flip(2), pixels)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model(self.preprocess.normalise(pixels))  # type: ignore[no-any-return]

    def _losses(self, batch: Batch) -> Tensor:
        offsets = torch.from_numpy(batch.offsets).to(self.device)
        labels = torch.from_numpy(batch.labels).to(self.device, torch.int64)
        logits = self.logits(batch.images, batch.flips)
        return softmax_loss(logits, offsets, labels, self.label_weights).sum()

    def _no_losses(self, batch: Batch) -> Tensor:
        # Two blank images, because batch norm needs more than one value; they weigh nothing.
        blank = np.zeros((2, *batch.images.shape[1:]), dtype=np.uint8)
        return self.logits(blank, np.zeros(2, dtype=np.bool_)).sum() * 0.0
