"""One optimiser step on one device: augment, forward, loss, backward, update."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hashnext.errors import ConfigError
from hashnext.models.preprocess import Preprocess
from hashnext.training.augment import (
    AugmentConfig,
    blend,
    colour_factors,
    draw_mix,
    jitter,
)
from hashnext.training.loss import softmax_loss
from hashnext.training.prefetch import DeviceBatch


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
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """What is done to training images beside mirroring."""
    seed: int = 0
    """Seed of the run."""

    def step(
        self, batch: DeviceBatch, total: int, learning_rate: float, images_seen: int
    ) -> tuple[float, float]:
        """Take one step; every worker takes it, also one without samples.

        The gradient is that of the mean loss over the `total` samples of the global batch: each
        worker divides its sum by `total`, and the factor `world` undoes DDP's averaging.

        Args:
            batch: this worker's share of the global batch.
            total: samples of all shares.
            learning_rate: of this step.
            images_seen: images before this batch, by which the batch's own draws are known.

        Returns:
            Sum of this worker's losses, and the norm of the gradient.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)
        losses = self._losses(batch, images_seen) if len(batch) else self._no_losses(batch)
        (losses * (self.world / max(total, 1))).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        self.optimiser.step()
        return float(losses.detach()), norm

    def logits(self, images: Tensor) -> Tensor:
        """Forward pass of (b, size, size, 3), 0 to 255."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model(self.preprocess.normalise(images))  # type: ignore[no-any-return]

    def _losses(self, batch: DeviceBatch, images_seen: int) -> Tensor:
        """Sum of the losses of a worker's share.

        The loss is linear in the target, so that of a mixed target is the weighted sum of those
        against either sparse target. Logits rolled back lie where the partners' labels are.
        """
        images = self._augmented(batch)
        mix = draw_mix(self.augment, self.seed, images_seen, len(batch), images.shape[1])
        if mix is None:
            return self._against(batch, self.logits(images))
        logits = self.logits(blend(images, mix))
        partners = self._against(batch, logits.roll(-mix.shift, 0))
        return mix.own * self._against(batch, logits) + (1 - mix.own) * partners

    def _against(self, batch: DeviceBatch, logits: Tensor) -> Tensor:
        return softmax_loss(logits, batch.offsets, batch.labels, self.label_weights).sum()

    def _augmented(self, batch: DeviceBatch) -> Tensor:
        """The images with each sample's own mirroring and colours."""
        images = torch.where(batch.flips[:, None, None, None], batch.images.flip(2), batch.images)
        factors = colour_factors(self.augment, self.seed, batch.host)
        if factors is None:
            return images
        return jitter(images, torch.from_numpy(factors).to(self.device))

    def _no_losses(self, batch: DeviceBatch) -> Tensor:
        # Two blank images, because batch norm needs more than one value; they weigh nothing.
        return self.logits(batch.images.new_zeros((2, *batch.images.shape[1:]))).sum() * 0.0
