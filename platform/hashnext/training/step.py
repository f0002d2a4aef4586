"""One optimiser step on one device: augment, forward, loss, backward, update."""

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hashnext.config import PretrainConfig
from hashnext.models.precision import autocast
from hashnext.models.preprocess import Preprocess
from hashnext.training.augment import Mix, blend, colour_factors, draw_mix, jitter
from hashnext.training.loss import Targets, loss, target_entropy
from hashnext.training.optimiser import WeightAverage
from hashnext.training.parallel import statistics_stand_still, synchronised
from hashnext.training.prefetch import DeviceBatch


@dataclass(frozen=True)
class Step:
    """What a step tells of a worker's share of the batch."""

    losses: Tensor
    """float32 (b,), one loss an image."""
    loss: float
    """Their sum."""
    floor: float
    """Sum of what no network gets below, the entropies of the (mixed) targets."""
    gradient_norm: float
    """Of the whole batch's gradient, before clipping; if it is not finite, nothing was updated,
    neither weights nor batch norms' statistics."""


@dataclass
class Stepper:
    """One network, its optimiser and where they are."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    preprocess: Preprocess
    device: torch.device
    config: PretrainConfig
    world: int = 1
    """Number of workers."""
    label_weights: Tensor | None = None
    """float (V,), how a post's labels share its target; None shares it evenly."""
    average: WeightAverage | None = None
    """Follows the weights, if wanted."""
    settled: bool = False
    """Whether this process has trained on a whole batch whose size every later share has, too."""

    def step(self, batch: DeviceBatch, total: int, learning_rate: float, images_seen: int) -> Step:
        """Take one step; every worker takes it, also one without samples.

        The gradient is that of the mean loss over the `total` samples of the global batch: each
        worker divides its sum by `total`, and the factor `world` undoes the averaging of gradients.

        Args:
            batch: this worker's share of the global batch.
            total: samples of all shares.
            learning_rate: of this step.
            images_seen: images before this batch, by which the batch's own draws are known.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        targets, mix = self._targets(batch), self._mix(batch, images_seen)
        with torch.compiler.set_stance("eager_on_recompile" if self.settled else "default"):
            losses, labels = self._backward(batch, targets, mix, self.world / max(total, 1))
        self.settled |= self._is_ordinary(total)
        norm = self._gradient_norm()
        if math.isfinite(norm):
            self.optimiser.step()
            if self.average:
                self.average.update(total)
        else:
            for buffer, before in zip(self.model.buffers(), statistics, strict=True):
                buffer.copy_(before)
        return Step(losses, float(losses.sum()), self._floor(targets, mix, labels), norm)

    @torch.no_grad()
    def losses_alone(self, batch: DeviceBatch) -> Tensor:
        """Losses of a worker's share, float32 (b,), none of which depends on another image.

        Images are not mixed, and batch norm takes its running statistics. Every worker has to ask.
        """
        images, targets = self._augmented(batch), self._targets(batch)
        self.model.eval()
        try:
            with torch.compiler.set_stance("force_eager"):  # not worth compiling for
                losses = [
                    self._losses(self._logits_of(images, rows), rows, targets, None)[: len(rows)]
                    for rows in self._pieces(batch)
                ]
        finally:
            self.model.train()
        return torch.cat(losses)

    def logits(self, images: Tensor) -> Tensor:
        """Forward pass of (b, size, size, 3), 0 to 255."""
        with autocast(self.device) if self.config.bf16 else nullcontext():
            return self.model(self.preprocess.normalise(images))  # type: ignore[no-any-return]

    def _is_ordinary(self, total: int) -> bool:
        """Whether a whole batch was trained on, and shares of whole batches have one size.

        What fits no graph after it is a short share, or one that lost samples. Compiling for it
        would take a minute or more, in which the other workers wait, and may be taken for hung.
        """
        return total == self.config.batch and total % self.config.stream.streams == 0

    def _targets(self, batch: DeviceBatch) -> Targets:
        return Targets(batch.offsets, batch.labels, self.label_weights)

    def _mix(self, batch: DeviceBatch, images_seen: int) -> Mix | None:
        return draw_mix(
            self.config.augment, self.config.seed, images_seen, len(batch), batch.images.shape[1]
        )

    def _pieces(self, batch: DeviceBatch) -> tuple[Tensor, ...]:
        """Rows of the share that are in memory at a time; as many pieces for every worker."""
        rows = torch.arange(len(batch), device=self.device)
        return rows.tensor_split(self.config.optimiser.accumulate)

    def _logits_of(self, images: Tensor, rows: Tensor) -> Tensor:
        """Logits of some rows; where there are none, of two black images, which leave no trace.

        Two, because batch norm needs more than one value. Every worker has to take part in what
        shards exchange.
        """
        if len(rows):
            return self.logits(images[rows])
        still = statistics_stand_still(self.model)
        with still, torch.compiler.set_stance("force_eager"):  # else compiled for standing still
            return self.logits(images.new_zeros((2, *images.shape[1:])))

    def _backward(
        self, batch: DeviceBatch, targets: Targets, mix: Mix | None, weight: float
    ) -> tuple[Tensor, int]:
        """Gradients of the losses' weighted sum; the losses (b,), and the number of labels.

        Every worker makes as many forward passes as the others, whatever its share.
        """
        if self.device.type == "cuda":  # CUDA graphs may overwrite what the step before left
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        images = self._augmented(batch)
        images = images if mix is None else blend(images, mix)
        parts, losses = self._pieces(batch), []
        for number, rows in enumerate(parts, 1):
            with synchronised(self.model, number == len(parts)):
                logits = self._logits_of(images, rows)
                found = self._losses(logits, rows, targets, mix)
                (found.sum() * weight).backward()  # type: ignore[no-untyped-call]
            losses.append(found.detach()[: len(rows)])
        return torch.cat(losses), logits.shape[1]

    def _floor(self, targets: Targets, mix: Mix | None, num_labels: int) -> float:
        """Sum of the entropies of the share's targets, which are mixed as its images are."""
        count = len(targets.offsets) - 1
        if not count:
            return 0.0
        rows = torch.arange(count, device=self.device)
        partners = None if mix is None else targets.take((rows - mix.shift) % count)
        own = 1.0 if mix is None else mix.own
        return float(target_entropy(self.config.loss, targets, num_labels, partners, own).sum())

    def _losses(self, logits: Tensor, rows: Tensor, targets: Targets, mix: Mix | None) -> Tensor:
        """Losses of some rows of the share; where there are none, zeros with a gradient.

        The loss is linear in the target, so that of a mixed target is the weighted sum of those
        against either sparse target.
        """
        if not len(rows):
            return logits.sum(dim=1) * 0.0
        own = loss(self.config.loss, logits, targets.take(rows))
        if mix is None:
            return own
        partners = targets.take((rows - mix.shift) % (len(targets.offsets) - 1))
        return mix.own * own + (1 - mix.own) * loss(self.config.loss, logits, partners)

    def _gradient_norm(self) -> float:
        """L2 norm of the gradient, which is then clipped if it shall be."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of sharded gradients
        if limit := self.config.optimiser.clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        return float(norm)

    def _augmented(self, batch: DeviceBatch) -> Tensor:
        """The images with each sample's own mirroring and colours."""
        images = torch.where(batch.flips[:, None, None, None], batch.images.flip(2), batch.images)
        factors = colour_factors(self.config.augment, self.config.seed, batch.host)
        if factors is None:
            return images
        return jitter(images, torch.from_numpy(factors).to(self.device))
