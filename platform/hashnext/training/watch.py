"""What is watched while a run goes on: loss, speed and hardware."""

import statistics
import time
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch.utils.flop_counter import FlopCounterMode

from hashnext.models.resnext import ResNeXtConfig, build

PEAK_BF16 = {
    "GB200": 2500e12, "B200": 2250e12, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12,
    "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12, "A10G": 70e12,
    "V100": 125e12, "T4": 65e12,
}  # fmt: skip
"""Dense multiply-adds a second, counted as two operations, in bfloat16 (float16 for V100 and T4),
by words of the GPU's name, the first that fit: NVIDIA's data sheets."""
FORWARD_AND_BACKWARD = 3
"""A training step's operations, as a multiple of a forward pass's."""


@dataclass
class Window:
    """Sums since the last report."""

    flops: float = 0.0
    """Operations of a training step, an image."""
    loss: float = 0.0
    floor: float = 0.0
    samples: float = 0.0
    gradient_norm: float = 0.0
    learning_rate: float = 0.0
    """Of the last step."""
    waited_s: float = 0.0
    steps_s: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def metrics(self) -> dict[str, float]:
        """Means over the window; times in seconds."""
        seconds = max(time.perf_counter() - self.started, 1e-9)
        steps, samples = sorted(self.steps_s), max(self.samples, 1)
        return {
            "loss": self.loss / samples,
            "kl": (self.loss - self.floor) / samples,
            "images_per_s": self.samples / seconds,
            "data_wait": self.waited_s / seconds,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm / max(len(steps), 1),
            "step_p50_s": statistics.median(steps or [0.0]),
            "step_p95_s": steps[int(0.95 * (len(steps) - 1))] if steps else 0.0,
            "tflops": self.samples * self.flops / seconds / 1e12,
        }


def training_flops(config: ResNeXtConfig, num_labels: int, size: int) -> float:
    """Operations of a training step, an image of `size` pixels a side: two a multiply-add."""
    with torch.device("meta"):
        network, image = build(config, num_labels), torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(image)
    return float(FORWARD_AND_BACKWARD * counter.get_total_flops())


def hardware(device: torch.device, tflops: float, world: int) -> dict[str, float]:
    """Memory and use of a GPU, and the share of its peak that the model's operations make up.

    Args:
        device: this worker's; of a CPU there is nothing to tell.
        tflops: of all workers together.
        world: number of workers.
    """
    if device.type != "cuda":
        return {}
    found = {"gpu_memory_gib": torch.cuda.max_memory_allocated(device) / (1 << 30)}
    with suppress(Exception):  # NVML is missing, or does not tell: MIG slices, some containers
        found["gpu_utilisation"] = torch.cuda.utilization(device) / 100
    if peak := of_gpu(PEAK_BF16, torch.cuda.get_device_name(device)):
        found["mfu"] = tflops * 1e12 / world / peak
    return found


def of_gpu(figures: dict[str, float], name: str) -> float | None:
    """Figure of a GPU, as PyTorch names it: the first whose key's words are all in its name."""
    words = {*name.replace("-", " ").split()}
    return next((value for key, value in figures.items() if words.issuperset(key.split())), None)
