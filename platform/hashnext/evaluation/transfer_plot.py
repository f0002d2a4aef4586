"""The picture of a transfer: the accuracy of each class, sorted, and what becomes of few images."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from hashnext.evaluation.bootstrap import Interval
from hashnext.evaluation.classes_plot import percent, plot_classes
from hashnext.plotting import FAINT, OURS, legend_below, png, tidy

NAMES = {
    "probe": "Linear probe",
    "knn": "Nearest neighbours",
    "few_shot": "Few-shot probe",
    "finetune": "Fine-tuning",
}


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
    interval = Interval(mean=figures["top1"], low=figures["low"], high=figures["high"])
    plot_classes(classes, figures["per_class"], interval, baseline)
    few = f", {list(shots)[-1]} images a class" if shots else ""
    figure.suptitle(
        f"{NAMES[mode]}{few}: top-1 {percent(interval)} on {figures['num_test']:,} test images",
        x=0.01, ha="left", fontweight="bold",
    )  # fmt: skip
    return png(figure)


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
