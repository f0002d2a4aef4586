"""The accuracy of each class, the best first: the picture that all evaluations share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hashnext.evaluation.bootstrap import Interval
from hashnext.plotting import FAINT, OURS, THEIRS, legend_below, tidy

NUMBERED = 40
"""Up to so many classes each bar carries its label."""


def plot_classes(
    axes: Any, per_class: Sequence[Mapping[str, Any]], top1: Interval,
    baseline: Sequence[Mapping[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Draw a bar a class, sorted, and a line for the accuracy over all images.

    Args:
        axes: where.
        per_class: rows of label, images and top1 (0 to 1).
        top1: over all images.
        baseline: rows of another model for the same classes.
    """
    rows = sorted(per_class, key=lambda row: -row["top1"])
    places = np.arange(len(rows))
    axes.bar(
        places, [100 * row["top1"] for row in rows], width=0.8 if len(rows) <= NUMBERED else 1.0,
        color=OURS, alpha=0.8, label="each class",
    )  # fmt: skip
    axes.axhspan(100 * top1.low, 100 * top1.high, color=FAINT, alpha=0.35, lw=0)
    mean = 100 * top1.mean
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


def percent(interval: Interval) -> str:
    """As text: 64.0 % (60.1 to 67.9)."""
    mean, low, high = (100 * value for value in (interval.mean, interval.low, interval.high))
    return f"{mean:.1f} % ({low:.1f} to {high:.1f})"
