"""Top-1 of the arms of an experiment, and their paired differences.

Intervals are 95 % bootstrap intervals over the test images of the mean over the seeds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashnext.evaluation.bootstrap import Interval, difference_interval, mean_interval


def compare(
    arms: Mapping[str, NDArray[np.float64]],
    compared: Iterable[tuple[str, str]],
    subset: NDArray[np.bool_],
) -> dict[str, Any]:
    """Top-1 of every arm and the paired differences over some test images.

    Args:
        arms: of each, what every seed got right: float64 (seeds, n), 0 or 1.
        compared: pairs of arms; the second is taken from the first.
        subset: bool (n,), the test images that count.
    """
    means = {arm: scores[:, subset].mean(0) for arm, scores in arms.items()}
    return {
        "images": int(subset.sum()),
        "top1": {arm: asdict(mean_interval(mean)) for arm, mean in means.items()},
        "differences": {
            f"{ours} - {theirs}": _difference(difference_interval(means[ours], means[theirs]))
            | {"seeds": (arms[ours] - arms[theirs])[:, subset].mean(1).tolist()}
            for ours, theirs in compared
        },
    }


def show(title: str, figures: Mapping[str, Any]) -> None:
    """Print what `compare` found, in percent."""
    print(f"\n{title}: {figures['images']:,} test images")
    for arm, top1 in figures["top1"].items():
        print(f"  {arm:<22} {_percent(top1, '')}")
    for name, found in figures["differences"].items():
        seeds = ", ".join(f"{100 * each:+.1f}" for each in found["seeds"])
        verdict = "" if found["excludes_zero"] else "  includes 0"
        print(f"  {name:<22} {_percent(found, '+')}  seeds {seeds}{verdict}")


def _difference(interval: Interval) -> dict[str, Any]:
    return asdict(interval) | {"excludes_zero": interval.excludes_zero}


def _percent(found: Mapping[str, float], sign: str) -> str:
    mean, low, high = (f"{100 * found[key]:{sign}.1f}" for key in ("mean", "low", "high"))
    return f"{mean:>5} ({low} to {high})"
