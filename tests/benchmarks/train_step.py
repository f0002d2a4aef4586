"""A training step beside the same step in a bare PyTorch loop, and beside timm's ResNeXt.

bare   the same network, normalisation, mirroring, loss, SGD with Nesterov momentum, and no more
timm   timm's network of the same shape in its own best settings (channels last, on a GPU compiled),
       with cross-entropy on one label an image

On CPU, ResNeXt-50 32x4d at 64 px and the nano recipe, in float32: our step has to reach 0.95 times
the bare one's rate. On a GPU, ResNeXt-101 32x8d and 32x16d at 224 px in bfloat16, where timm is the
measure (tests/benchmarks/gpu_steps.py). Images lie on the device. Plain torch, no Ray. From the
repository root:

    uv run -m tests.benchmarks.train_step [--batch N] [--seconds S] [--labels V] [--head-rank R]
"""

import argparse
import os
import statistics
from dataclasses import replace

import torch

from hashnext.models.resnext import build
from tests.benchmarks import gpu_steps
from tests.benchmarks.roofline import machine
from tests.benchmarks.steps import Case, bare, multi_label, one_label, ours, rate, timm_network
from tests.benchmarks.table import row

ROUNDS = 15
ON_CPU = (Case("nano", 64, 64), Case("resnext50_32x4d", 64, 32))
CPU = torch.device("cpu")


def measure(case: Case, seconds: float) -> None:
    """Let the steps take turns on the CPU and print the ratios of neighbours."""
    steps = {
        "bare": bare(build(case.config(False).model, case.labels), case, CPU, multi_label),
        "ours": ours(case, CPU),
    }
    theirs = timm_network(case)
    if theirs is not None:
        steps["timm"] = bare(theirs, case, CPU, one_label)
    for step in steps.values():
        for _ in range(3):  # chooses algorithms
            step()
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            rates[name].append(rate(step, case, CPU, seconds))
    for name, found in rates.items():
        row(f"{case.title}: {name}, images/s", f"{statistics.median(found):,.1f}")
    if theirs is None:
        row(f"{case.title}: timm", "skipped: timm has no network of this name")
    for other in [name for name in steps if name != "ours"]:
        pairs = zip(rates["ours"], rates[other], strict=True)
        ratio = statistics.median(mine / theirs for mine, theirs in pairs)
        target = "at least 0.95x" if other == "bare" else ""
        row(f"  ours / {other}", f"{ratio:.2f}x", target, not target or ratio >= 0.95)


def main() -> None:
    """Measure every case of the device."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, help="instead of the cases' own")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--labels", type=int, default=Case.labels)
    parser.add_argument("--head-rank", type=int, help="of a factorised head")
    parser.add_argument("--modes", nargs="+", default=gpu_steps.MODES, help="of torch.compile")
    args = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")

    def asked(case: Case, batch: int) -> Case:
        return replace(case, batch=batch, labels=args.labels, head_rank=args.head_rank)

    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        able = machine(device)
        for case, batches in gpu_steps.CASES.items():
            sizes = [args.batch] if args.batch else batches
            cases = [asked(case, n) for n in sizes]
            gpu_steps.compare(cases, args.modes, args.seconds, device, able)
        return
    for case in gpu_steps.CASES:
        row(f"{case.recipe}, {case.size} px", "skipped: torch finds no GPU")
    for case in ON_CPU:
        measure(asked(case, args.batch or case.batch), args.seconds)


if __name__ == "__main__":
    main()
