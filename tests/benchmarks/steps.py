"""Training steps to be timed: ours, the same network in a bare PyTorch loop, and timm's."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hashnext.config import PretrainConfig
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import build
from hashnext.recipes import recipe
from hashnext.shards.batch import Batch
from hashnext.shards.order import Samples
from hashnext.training.loss import softmax_loss
from hashnext.training.optimiser import make_optimiser
from hashnext.training.parallel import ParallelConfig, distribute
from hashnext.training.prefetch import DeviceBatch, upload
from hashnext.training.step import Stepper

Step = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A network at a size."""

    recipe: str
    size: int
    batch: int
    labels: int = 1000
    head_rank: int | None = None

    @property
    def title(self) -> str:
        """Network, size and labels, as printed."""
        head = f" rank {self.head_rank}" if self.head_rank else ""
        return f"{self.recipe}, {self.size} px, batch {self.batch}, {self.labels} labels{head}"

    def config(self, bf16: bool) -> PretrainConfig:
        """The recipe, with this head."""
        config = recipe(self.recipe)
        return replace(config, bf16=bf16, model=replace(config.model, head_rank=self.head_rank))


def images(case: Case, device: torch.device) -> DeviceBatch:
    """Random pixels with one label each, on the device."""
    rng, count = np.random.default_rng(0), case.batch
    numbers = np.arange(count)
    return upload(Batch(
        images=rng.integers(0, 256, (count, case.size, case.size, 3)).astype(np.uint8),
        offsets=np.arange(count + 1), labels=rng.integers(0, case.labels, count).astype(np.int32),
        flips=rng.random(count) < 0.5, keys=numbers.astype(np.uint64),
        samples=Samples(numbers, numbers * 0, numbers * 0, numbers * 0), skipped={}, missing={},
    ), device)  # fmt: skip


def timm_network(case: Case) -> nn.Module | None:
    """timm's network of the same name, which it calls as we do; None where it has none."""
    if case.recipe not in timm.list_models():
        return None
    network: nn.Module = timm.create_model(case.recipe, num_classes=case.labels)
    return network


def ours(case: Case, device: torch.device, mode: Any = "default") -> Step:
    """A step as training takes it; on a GPU compiled in a mode of `ParallelConfig`."""
    config = case.config(device.type == "cuda")
    network = build(config.model, case.labels)
    model = distribute(network, ParallelConfig(compile_mode=mode), 1, device)
    optimiser = make_optimiser(network, config.optimiser)
    stepper = Stepper(model, optimiser, Preprocess(size=case.size), device, config)
    batch = images(case, device)
    return lambda: stepper.step(batch, case.batch, 0.01, 0)


def bare(
    network: nn.Module, case: Case, device: torch.device,
    loss: Callable[[Tensor, DeviceBatch], Tensor], mode: str = "default",
) -> Step:  # fmt: skip
    """The least that a step has to do; on a GPU with bfloat16 and nothing that waits for it."""
    network = network.train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    on_gpu = device.type == "cuda"
    if on_gpu:
        network.compile(mode=None if mode == "default" else mode)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True, fused=True
    )
    preprocess, batch = Preprocess(size=case.size), images(case, device)

    def step() -> Tensor:
        if on_gpu:  # recorded CUDA graphs are told that the step before is done with
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        pixels = torch.where(batch.flips[:, None, None, None], batch.images.flip(2), batch.images)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            logits = network(preprocess.normalise(pixels))
        found = loss(logits, batch)
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return found.detach()

    return step


def multi_label(logits: Tensor, batch: DeviceBatch) -> Tensor:
    """Our loss."""
    return softmax_loss(logits, batch.offsets, batch.labels).mean()


def one_label(logits: Tensor, batch: DeviceBatch) -> Tensor:
    """The usual loss of ImageNet."""
    return cross_entropy(logits.float(), batch.labels)


def rate(step: Step, case: Case, device: torch.device, seconds: float) -> float:
    """Images a second over some seconds, until the device has done its last step."""
    finish(device)
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        steps += 1
    finish(device)
    return steps * case.batch / (time.perf_counter() - started)


def finish(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
