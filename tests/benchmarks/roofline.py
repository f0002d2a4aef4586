"""What a training step cannot do without, and what a device can do at most: the roofline.

Williams, Waterman, Patterson: "Roofline: an insightful visual performance model", CACM 2009. Both
ends are measured in the run that they judge: a large matrix product and a large copy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hashnext.training.watch import FORWARD_AND_BACKWARD, PEAK_BF16, of_gpu
from tests.benchmarks.steps import finish

BANDWIDTH = {
    "B200": 8.0e12, "H200": 4.8e12, "H100 PCIe": 2.0e12, "H100 NVL": 3.9e12, "H100": 3.35e12,
    "A100": 2.0e12,
}  # fmt: skip
"""Bytes a second of a GPU's memory, by words of its name: NVIDIA's data sheets."""
STATE_BYTES = 6 * 4
"""Of a parameter in float32, a step: its gradient written and read, itself and its momentum read
and written by the optimiser."""


@dataclass(frozen=True)
class Footprint:
    """Operations and bytes of a training step."""

    flops: float
    """Operations an image, two a multiply-add, forward and backward."""
    image_bytes: float
    """Least bytes through memory, an image."""
    step_bytes: float
    """Least bytes through memory a step, however many images."""

    def moved(self, batch: int) -> float:
        """Least bytes through memory an image, in batches of so many."""
        return self.image_bytes + self.step_bytes / batch


def footprint(network: nn.Module, images: Tensor) -> Footprint:
    """Operations and least bytes of a step, found by a forward pass over a few images.

    The bytes are a lower bound: only the tensors around convolutions and linear layers count, each
    once a pass, as if all between them (batch norm, ReLU, pooling, sums) were fused into them and
    cost nothing. A layer reads its input and writes its output forward; backward it reads its input
    and the gradient of its output, and writes the gradient of its input. An input that two layers
    share counts once, that of the network has no gradient. Weights are read forward and backward.
    The bound assumes that a tensor has left the caches before it is read again, which holds where
    it is larger than they are (50 MB on an H200): at batches of some hundred images, not of a few.

    Args:
        network: not compiled, on its device; with the autocast of the steps around the call.
        images: float (n, 3, H, W) on the same device, n as small as memory asks.
    """
    inputs: dict[int, tuple[Tensor, int]] = {}
    outputs: list[int] = []
    weights: dict[int, int] = {}

    def note(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        width, weight = output.element_size(), layer.weight
        assert isinstance(weight, Tensor)
        inputs[id(args[0])] = args[0], args[0].numel() * width  # held, so that no id comes twice
        outputs.append(output.numel() * width)
        weights[id(weight)] = weight.numel() * width

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    read = sum(size for _, size in inputs.values())
    first = inputs[id(images)][1] if id(images) in inputs else 0
    parameters = sum(p.numel() for p in network.parameters())
    return Footprint(
        FORWARD_AND_BACKWARD * counter.get_total_flops() / len(images),
        (3 * read - first + 2 * sum(outputs)) / len(images),
        2 * sum(weights.values()) + STATE_BYTES * parameters,
    )


@dataclass(frozen=True)
class Machine:
    """What a device does at most."""

    matmul: float
    """Operations a second of a bfloat16 matrix product, measured."""
    copy: float
    """Bytes a second, read and written, of a copy in its memory, measured."""
    peak: float | None
    """Operations a second in bfloat16 by the data sheet; None where we have none."""
    bandwidth: float | None
    """Bytes a second through its memory, likewise."""

    def ceiling(self, cost: Footprint, batch: int) -> float:
        """Images a second that no step can exceed whose costs are those."""
        return min(self.matmul / cost.flops, self.copy / cost.moved(batch))


def machine(device: torch.device, *, side: int = 8192, copied: int = 1 << 31) -> Machine:
    """Measure a device, with matrices of `side` x `side` and a copy of `copied` bytes."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    left, right = torch.randn(2, side, side, device=device).bfloat16().unbind()
    product = torch.empty_like(left)
    source = torch.ones(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    multiplied = per_second(lambda: torch.matmul(left, right, out=product), device)
    return Machine(
        2 * side**3 * multiplied,
        2 * copied * per_second(lambda: target.copy_(source), device),
        of_gpu(PEAK_BF16, name),
        of_gpu(BANDWIDTH, name),
    )


def per_second(call: Callable[[], object], device: torch.device, repeats: int = 20) -> float:
    """How often a second a device does something: the best of five goes."""
    best = 0.0
    for _ in range(5):
        finish(device)
        started = time.perf_counter()
        for _ in range(repeats):
            call()
        finish(device)
        best = max(best, repeats / (time.perf_counter() - started))
    return best
