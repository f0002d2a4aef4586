"""The picture of a transfer: the accuracy of each class, sorted, and what becomes of few images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hashnext.plotting import FAINT, OURS, THEIRS, legend_below, png, tidy

NAMES = {
    "probe": "Linear probe",
    "knn": "Nearest neighbours",
    "few_shot": "Few-shot probe",
    "finetune": "Fine-tuning",
}
NUMBERED = 40
"""Up to so many classes each bar carries its label."""


def plot(
    figures: Mapping[str, Any], mode: str, baseline: Sequence[Mapping[str, Any]] | None
) -> bytes:
    """PNG of the figures of a transfer.

    Args:
        figures: `Transfer.figures`.
        mode: as in `jobs.transfer`.
        baseline: another transfer's `per_class` on the same test set.
    """
    shots = figures.get("few_shot")
    figure = Figure(figsize=(11 if shots else 7.5, 4.4), layout="constrained")
    if shots:
        classes, beside = figure.subplots(1, 2, width_ratios=(2, 1))
        _few_shot(beside, shots)
    else:
        classes = figure.subplots()
    _classes(classes, figures, baseline)
    top1, low, high = (100 * figures[key] for key in ("top1", "low", "high"))
    few = f", {list(shots)[-1]} images a class" if shots else ""
    figure.suptitle(
        f"{NAMES[mode]}{few}: top-1 {top1:.1f} % ({low:.1f} to {high:.1f}) "
        f"on {figures['num_test']:,} test images",
        x=0.01, ha="left", fontweight="bold",
    )  # fmt: skip
    return png(figure)


def _classes(
    axes: Any, figures: Mapping[str, Any], baseline: Sequence[Mapping[str, Any]] | None
) -> None:
    rows = sorted(figures["per_class"], key=lambda row: -row["top1"])
    places = np.arange(len(rows))
    axes.bar(
        places, [100 * row["top1"] for row in rows], width=0.8 if len(rows) <= NUMBERED else 1.0,
        color=OURS, alpha=0.8, label="each class",
    )  # fmt: skip
    axes.axhspan(100 * figures["low"], 100 * figures["high"], color=FAINT, alpha=0.35, lw=0)
    mean = 100 * figures["top1"]
    axes.axhline(mean, color="black", lw=1, label="all images, with 95 % interval")
    if baseline:
        theirs = {row["label"]: 100 * row["top1"] for row in baseline}
        heights = [theirs[row["label"]] for row in rows]
        axes.scatter(
            places, heights, s=14, color=THEIRS, zorder=3, clip_on=False,
            label="baseline, each class",
        )  # fmt: skip
        overall = np.average(heights, weights=[row["images"] for row in rows])
        axes.axhline(overall, color=THEIRS, lw=1.2, ls="--", label="baseline, all images")
    if len(rows) <= NUMBERED:
        axes.set_xticks(places, [str(row["label"]) for row in rows], fontsize=8)
        axes.tick_params(axis="x", length=0, rotation=90 if len(rows) > 20 else 0)
    tidy(axes, "Accuracy by class", _classes_label(len(rows)), "top-1, %")
    axes.grid(visible=False, axis="x")
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.set_ylim(0, 100)
    legend_below(axes)


def _classes_label(count: int) -> str:
    return "label of the class" if count <= NUMBERED else f"the {count:,} classes, the best first"


def _few_shot(axes: Any, shots: Mapping[str, Mapping[str, Any]]) -> None:
    places = [int(number) for number in shots]
    rows = list(shots.values())
    for place, row in zip(places, rows, strict=True):
        draws = [100 * draw for draw in row["draws"]]
        axes.scatter([place] * len(draws), draws, s=12, color=FAINT, zorder=2)
    tops = [100 * row["top1"] for row in rows]
    below = [100 * (row["top1"] - row["low"]) for row in rows]
    above = [100 * (row["high"] - row["top1"]) for row in rows]
    axes.errorbar(
        places, tops, [below, above], color=OURS, marker="o", capsize=3, zorder=3,
        label="mean, with 95 % interval",
    )  # fmt: skip
    axes.scatter([], [], s=12, color=FAINT, label="one draw")
    axes.set_xscale("log")
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1 * max(100 * max(row["high"], *row["draws"]) for row in rows) or 1)
    tidy(axes, "By images of each class", "training images of each class", "top-1, %")
    legend_below(axes)
