"""The picture of a network on held-out posts: reliability, figures by band, levels of WordNet."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hashnext.evaluation.hashtags import BANDS, FIGURES
from hashnext.evaluation.held_out import HeldOutReport
from hashnext.evaluation.hierarchy import HierarchyReport
from hashnext.evaluation.reliability import Reliability
from hashnext.plotting import FAINT, OURS, THEIRS, legend_below, png, tidy


def plot(report: HeldOutReport) -> bytes:
    """PNG of the figures on held-out posts."""
    panels = 3 if report.hierarchy else 2
    figure = Figure(figsize=(5.1 * panels, 5), layout="constrained")
    parts: Any = figure.subfigures(1, panels, width_ratios=(1, 1.1, 1.1)[:panels])
    _reliability(parts[0].subplots(), report.before, report.after)
    _bands(parts[1], report)
    if report.hierarchy:
        _levels(parts[2].subplots(), report.hierarchy)
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


def _bands(part: Any, report: HeldOutReport) -> None:
    axes = part.subplots(2, 2, sharex=True).ravel()
    for each, name in zip(axes, FIGURES, strict=True):
        _by_band(each, name, report)
    handles, names = axes[0].get_legend_handles_labels()
    part.legend(handles, names, frameon=False, fontsize=8, ncols=2, loc="outside lower center")


def _by_band(axes: Any, figure: str, report: HeldOutReport) -> None:
    """One figure over all labels and by band; no bar where it divides by nothing."""
    rows = (
        (-0.2, report.means, OURS, "model"),
        (0.2, report.baseline, THEIRS, "five commonest labels"),
    )
    keys = [figure, *(f"{figure}_{band}" for band in BANDS)]
    for shift, figures, colour, name in rows:
        places = [place for place, key in enumerate(keys) if key in figures]
        heights = [100 * figures[keys[place]] for place in places]
        bars = axes.bar(
            np.array(places) + shift, heights, width=0.38, color=colour, alpha=0.85, label=name
        )
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=1)
    axes.set_xticks(range(len(keys)), ["all", *BANDS], fontsize=8)
    axes.tick_params(axis="x", length=0)
    tidy(axes, f"{figure.replace('_at_', '@').capitalize()} by band, %", "", "")
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 112)


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
