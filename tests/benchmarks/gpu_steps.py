"""Our training step beside timm's on a GPU, each in the batch and compile mode that suit it best.

Modes are those of `torch.compile`: `reduce-overhead` and `max-autotune` replay CUDA graphs. Every
pair of mode and batch is built anew for either side, ours and timm's by turns, and what does not
fit or does not run is printed with its reason. The share of the peak (MFU) counts each network's
own operations against the data sheet; beside it stand the shares of what a matrix product and a
copy reach on this GPU in this run (tests/benchmarks/roofline.py).
"""

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hashnext.models.precision import autocast
from hashnext.models.resnext import build
from tests.benchmarks.roofline import Footprint, Machine, footprint
from tests.benchmarks.steps import Case, Step, bare, one_label, ours, rate, timm_network
from tests.benchmarks.table import row

MODES = ("default", "reduce-overhead", "max-autotune")
TURNS = 5
CASES = {
    Case("resnext101_32x8d", 224, 256): (128, 256, 512),
    Case("resnext101_32x16d", 224, 192): (96, 192, 384),
}
"""Networks, and the batches that are tried."""
GIB = 1 << 30


@dataclass(frozen=True)
class Found:
    """The rate of one side in one setting."""

    speed: float
    """Images a second, the median of some turns."""
    case: Case
    mode: str


def compare(
    cases: Sequence[Case], modes: Sequence[str], seconds: float, device: torch.device, able: Machine
) -> None:
    """Try every mode and batch for both sides and print what the best of each reaches.

    Args:
        cases: one network in several batches.
        modes: of `torch.compile`.
        seconds: of a turn.
        device: where; on a CPU nothing is compiled, and the modes are one.
        able: what that device does at most.
    """
    title = f"{cases[0].recipe}, {cases[0].size} px"
    row(f"{title}: matrix product, Top/s", f"{able.matmul / 1e12:,.0f}")
    row(f"{title}: copy, GB/s", f"{able.copy / 1e9:,.0f}")
    costs = {"ours": ours_cost(cases[0], device), "timm": timm_cost(cases[0], device)}
    best: dict[str, Found] = {}
    for case in cases:
        for mode in modes:
            for side in [name for name, cost in costs.items() if cost]:
                speed = attempt(side, case, mode, device, seconds)
                if speed > (best[side].speed if side in best else 0.0):
                    best[side] = Found(speed, case, mode)
    for side, found in best.items():
        cost = costs[side]
        assert cost is not None
        summary(title, side, found, cost, able)
    if costs["timm"] is None:
        row(f"{title}: timm", "skipped: timm has no network of this name")
    else:
        ratio(best)


def ratio(best: dict[str, Found]) -> None:
    """Print how our best setting compares with timm's."""
    if len(best) < 2:
        row("  ours / timm", "skipped: one of them ran in no setting")
        return
    found = best["ours"].speed / best["timm"].speed
    row("  ours / timm", f"{found:.2f}x", "at least 1x", found >= 1)
    row("  ours / timm", f"{found:.2f}x", "goal 1.1x", found >= 1.1)


def attempt(side: str, case: Case, mode: str, device: torch.device, seconds: float) -> float:
    """Images a second of one side in one setting; 0 where it cannot be had, with the reason."""
    what = f"{case.title}, {mode}: {side}, images/s"
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    try:
        speed = speed_of(lambda: step_of(side, case, mode, device), case, device, seconds)
        memory = f", {torch.cuda.max_memory_allocated(device) / GIB:.0f} GiB" if on_gpu else ""
        row(what, f"{speed:,.1f}{memory}")
    except Exception as error:  # a compiler raises anything; the other settings do not suffer
        row(what, "skipped: " + f"{type(error).__name__}: {error}".splitlines()[0][:100])
        speed = 0.0
    torch.compiler.reset()  # else the next batch size would be compiled for any size
    gc.collect()
    torch.cuda.empty_cache()
    return speed


def step_of(side: str, case: Case, mode: str, device: torch.device) -> Step:
    """A step of one side; cuDNN may try its algorithms out for timm, whose own script says so, and
    for us as far as training says so."""
    torch.backends.cudnn.benchmark = side == "timm"
    if side == "ours":
        return ours(case, device, mode)
    network = timm_network(case)
    assert network is not None
    return bare(network, case, device, one_label, mode)


def speed_of(make: Callable[[], Step], case: Case, device: torch.device, seconds: float) -> float:
    """Median of some turns of a step, after it has been compiled and recorded."""
    step = make()
    for _ in range(5):
        step()
    return statistics.median(rate(step, case, device, seconds) for _ in range(TURNS))


def ours_cost(case: Case, device: torch.device) -> Footprint:
    """Operations and least bytes of our network."""
    return cost_of(build(case.config(True).model, case.labels), case, device)


def timm_cost(case: Case, device: torch.device) -> Footprint | None:
    """Operations and least bytes of timm's; None where there is none."""
    network = timm_network(case)
    return None if network is None else cost_of(network, case, device)


def cost_of(network: nn.Module, case: Case, device: torch.device) -> Footprint:
    """Footprint in the precision of the steps."""
    network.train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.randn(2, 3, case.size, case.size, device=device)
    with autocast(device):
        return footprint(network, pixels.to(memory_format=torch.channels_last))


def summary(title: str, side: str, found: Found, cost: Footprint, able: Machine) -> None:
    """Print what the best setting of a side reaches of the device's limits."""
    batch = found.case.batch
    row(f"{title}: {side} at best, images/s", f"{found.speed:,.1f}", "")
    row("  with", f"batch {batch}, {found.mode}")
    for name, share in shares(found.speed, batch, cost, able).items():
        row(f"  {name}", f"{share:.3f}")


def shares(speed: float, batch: int, cost: Footprint, able: Machine) -> dict[str, float]:
    """Shares of the device's limits that some images a second make up."""
    operations, moved = speed * cost.flops, speed * cost.moved(batch)
    found = {
        "MFU, of the data sheet": operations / able.peak if able.peak else None,
        "operations, of the matrix product's": operations / able.matmul,
        "memory, of the data sheet, at least": moved / able.bandwidth if able.bandwidth else None,
        "memory, of the copy's, at least": moved / able.copy,
        "images/s, of the roofline's": speed / able.ceiling(cost, batch),
    }
    return {name: share for name, share in found.items() if share is not None}
