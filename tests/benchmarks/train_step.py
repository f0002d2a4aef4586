"""A training step beside the same step in a bare PyTorch loop, and beside timm's ResNeXt.

bare   the same network, normalisation, mirroring, loss, SGD with Nesterov momentum, and no more
timm   timm's network of the same shape in its own best settings (channels last, compiled where ours
       is), with cross-entropy on one label an image

On CPU, ResNeXt-50 32x4d at 64 px and the nano recipe, in float32: our step has to reach 0.95 times
the bare one's rate. On a GPU, ResNeXt-101 32x8d and 32x16d at 224 px in bfloat16, where timm is the
measure, and the share of the GPU's peak and of its memory bandwidth is printed. Images lie on the
device. Plain torch, no Ray. From the repository root:

    uv run -m tests.benchmarks.train_step [--batch N] [--seconds S] [--labels V] [--head-rank R]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

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
from hashnext.training.watch import hardware, training_flops
from tests.benchmarks.table import row

ROUNDS = 15
BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12}
"""Bytes a second of a GPU's memory, by a part of its name: NVIDIA's data sheets."""


@dataclass(frozen=True)
class Case:
    """A network at a size."""

    recipe: str
    size: int
    batch: int
    labels: int = 1000
    head_rank: int | None = None

    def config(self, bf16: bool) -> PretrainConfig:
        """The recipe, with this head."""
        config = recipe(self.recipe)
        return replace(config, bf16=bf16, model=replace(config.model, head_rank=self.head_rank))


ON_CPU = (Case("nano", 64, 64), Case("resnext50_32x4d", 64, 32))
ON_GPU = (Case("resnext101_32x8d", 224, 256), Case("resnext101_32x16d", 224, 192))


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


def ours(config: PretrainConfig, case: Case, device: torch.device) -> Callable[[], object]:
    """A step as training takes it."""
    network = build(config.model, case.labels)
    model = distribute(network, ParallelConfig(), 1, device)
    optimiser = make_optimiser(network, config.optimiser)
    stepper = Stepper(model, optimiser, Preprocess(size=case.size), device, config)
    batch = images(case, device)
    return lambda: stepper.step(batch, case.batch, 0.01, 0)


def bare(
    network: nn.Module, case: Case, device: torch.device, bf16: bool,
    loss: Callable[[Tensor, DeviceBatch], Tensor],
) -> Callable[[], object]:  # fmt: skip
    """The least that a step has to do."""
    network = network.train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cuda":
        network.compile()
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True, fused=True
    )
    preprocess, batch = Preprocess(size=case.size), images(case, device)

    def step() -> float:
        pixels = torch.where(batch.flips[:, None, None, None], batch.images.flip(2), batch.images)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(preprocess.normalise(pixels))
        found = loss(logits, batch)
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(found.detach())

    return step


def multi_label(logits: Tensor, batch: DeviceBatch) -> Tensor:
    """Our loss."""
    return softmax_loss(logits, batch.offsets, batch.labels).mean()


def one_label(logits: Tensor, batch: DeviceBatch) -> Tensor:
    """The usual loss of ImageNet."""
    return cross_entropy(logits.float(), batch.labels)


def rate(step: Callable[[], object], case: Case, seconds: float) -> float:
    """Images a second over some seconds; each step waits for its loss."""
    started, steps = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        step()
        steps += 1
    return steps * case.batch / passed


def measure(case: Case, device: torch.device, seconds: float) -> None:
    """Let the steps take turns and print the ratios of neighbours."""
    gpu = device.type == "cuda"
    config = case.config(gpu)
    steps = {
        "bare": bare(build(config.model, case.labels), case, device, gpu, multi_label),
        "ours": ours(config, case, device),
    }
    if case.recipe in timm.list_models():  # by the same names
        network = timm.create_model(case.recipe, num_classes=case.labels)
        steps["timm"] = bare(network, case, device, gpu, one_label)
    for step in steps.values():
        for _ in range(3):  # compiles, and chooses algorithms
            step()
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            rates[name].append(rate(step, case, seconds))
    head = f" rank {case.head_rank}" if case.head_rank else ""
    title = f"{case.recipe}, {case.size} px, batch {case.batch}, {case.labels} labels{head}"
    for name, found in rates.items():
        row(f"{title}: {name}, images/s", f"{statistics.median(found):,.1f}")
    for other in steps.keys() - {"ours"}:
        pairs = zip(rates["ours"], rates[other], strict=True)
        ratio = statistics.median(mine / theirs for mine, theirs in pairs)
        least = 1.0 if other == "timm" else 0.95
        target = f"at least {least:g}x" if gpu or other == "bare" else ""
        row(f"  ours / {other}", f"{ratio:.2f}x", target, not target or ratio >= least)
    if gpu:
        roofline(config, case, device, statistics.median(rates["ours"]), steps["ours"])


def roofline(
    config: PretrainConfig, case: Case, device: torch.device, speed: float,
    step: Callable[[], object],
) -> None:  # fmt: skip
    """Shares of the GPU's peak and of its memory bandwidth; what a step has in memory besides what
    stays there goes through it at least once forward and twice backward."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step()
    kept = torch.cuda.max_memory_allocated(device) - before
    tflops = speed * training_flops(config.model, case.labels, case.size) / 1e12
    for key, value in hardware(device, tflops, 1).items():
        row(f"  {key}", f"{value:.3f}")
    name = torch.cuda.get_device_name(device)
    peak = next((value for part, value in BANDWIDTH.items() if part in name), None)
    if peak:
        moved = 3 * kept / case.batch * speed
        row("  share of memory bandwidth, at least", f"{moved / peak:.3f}")


def main() -> None:
    """Measure every case of the device."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, help="instead of the cases' own")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--labels", type=int, default=Case.labels)
    parser.add_argument("--head-rank", type=int, help="of a factorised head")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, {device}")
    if device.type == "cpu":
        print("no GPU: the cases of 224 px are left out")
    for case in ON_GPU if device.type == "cuda" else ON_CPU:
        asked = replace(
            case, batch=args.batch or case.batch, labels=args.labels, head_rank=args.head_rank
        )
        measure(asked, device, args.seconds)


if __name__ == "__main__":
    main()
