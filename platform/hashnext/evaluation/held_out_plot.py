"""The picture of a network on held-out posts: reliability, recall by band, levels of WordNet."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hashnext.evaluation.hashtags import BANDS
from hashnext.evaluation.held_out import HeldOutReport
from hashnext.evaluation.hierarchy import HierarchyReport
from hashnext.evaluation.reliability import Reliability
from hashnext.plotting import FAINT, OURS, THEIRS, legend_below, png, tidy


def plot(report: HeldOutReport) -> bytes:
    """PNG of the figures on held-out posts."""
    panels = 3 if report.hierarchy else 2
    figure = Figure(figsize=(4.9 * panels, 4.8), layout="constrained")
    axes = figure.subplots(1, panels, width_ratios=(1, 0.8, 1.1)[:panels])
    _reliability(axes[0], report.before, report.after)
    _bands(axes[1], report)
    if report.hierarchy:
        _levels(axes[2], report.hierarchy)
    found, baseline = report.precision_at_1, report.baseline["precision_at_1"]
    figure.suptitle(
        f"{report.posts:,} held-out posts: the first prediction is right on "
        f"{100 * found.mean:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f}), "
        f"the commonest label on {100 * baseline:.1f} %",
        x=0.01, ha="left", fontweight="bold",
    )  # fmt: skip
    return png(figure)


def _reliability(axes: Any, before: Reliability, after: Reliability) -> None:
    axes.plot([0, 100], [0, 100], color=FAINT, lw=1, ls="--")
    for bins, colour, name in ((before, THEIRS, "temperature 1"), (after, OURS, "calibrated")):
        sure, true = 100 * np.array(bins.confidence), 100 * np.array(bins.target)
        axes.plot(sure, true, color=colour, lw=1.2)
        sizes = 12 + 160 * np.array(bins.posts) / sum(bins.posts)
        label = f"{name}: error {100 * bins.error:.1f} points"
        axes.scatter(sure, true, s=sizes, color=colour, alpha=0.75, label=label, zorder=3)
    axes.plot(
        100 * np.array(after.confidence), 100 * np.array(after.right), color=OURS, lw=1, ls=":",
        label="calibrated: right at all, % of posts",
    )  # fmt: skip
    tidy(
        axes, "Reliability of the first prediction", "confidence, %",
        "share of the post's labels, %",
    )  # fmt: skip
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    legend = legend_below(axes)
    for handle in legend.legend_handles[:2]:
        handle.set_sizes([30])


def _bands(axes: Any, report: HeldOutReport) -> None:
    bands = [band for band in BANDS if f"recall_at_5_{band}" in report.means]
    names = [f"recall_at_5_{band}" for band in bands]
    places = np.arange(len(bands) + 1)
    rows = (
        (-0.2, report.means, OURS, "model"),
        (0.2, report.baseline, THEIRS, "five commonest labels"),
    )
    for shift, figures, colour, name in rows:
        heights = [100 * figures[key] for key in ("recall_at_5", *names)]
        bars = axes.bar(places + shift, heights, width=0.38, color=colour, alpha=0.85, label=name)
        axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(places, ["all", *bands])
    axes.tick_params(axis="x", length=0)
    tidy(axes, "Recall@5 by how frequent a label is", "third of the assignments", "recall@5, %")
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 105)
    legend_below(axes)


def _levels(axes: Any, hierarchy: HierarchyReport) -> None:
    ours, theirs = hierarchy.ours, hierarchy.baseline
    depths = np.arange(len(ours.accuracy))
    low, mean, high = (
        [100 * getattr(interval, end) for interval in ours.accuracy]
        for end in ("low", "mean", "high")
    )
    axes.fill_between(depths, low, high, color=OURS, alpha=0.2, lw=0)
    axes.plot(depths, mean, color=OURS, marker="o", ms=4, label=f"model{_depth(ours.right_depth)}")
    axes.plot(
        depths, [100 * interval.mean for interval in theirs.accuracy], color=THEIRS, marker="o",
        ms=4, label=f"commonest label{_depth(theirs.right_depth)}",
    )  # fmt: skip
    tidy(axes, "Right down to which level of WordNet", "depth below entity", "posts, %")
    axes.set_xticks(depths[:: 1 + len(depths) // 12])
    axes.set_ylim(0, 105)
    legend_below(axes, columns=1)


def _depth(depth: float | None) -> str:
    return "" if depth is None else f" (right labels: mean depth {depth:.1f})"
