"""The picture of an evaluation: the accuracy of each class, and the ways to count beside it."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from hashnext.evaluation.bootstrap import Interval
from hashnext.evaluation.classes_plot import percent, plot_classes
from hashnext.evaluation.scores import Scores
from hashnext.plotting import OURS, png, tidy


def plot(scores: Scores, leakage: Mapping[str, Any] | None) -> bytes:
    """PNG of the scores of a network with its own head.

    Args:
        scores: on all images.
        leakage: `Leaked.figures`, where it is known which images training has seen.
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    classes, beside = figure.subplots(1, 2, width_ratios=(2, 1))
    plot_classes(classes, scores.per_class, scores.top1)
    ways = {"top-1": scores.top1, "top-5": scores.top5, "mean over classes": scores.mean_class_top1}
    if leakage:
        bound = leakage["top1_lower_bound"]
        ways["lower bound of top-1"] = Interval(mean=bound, low=bound, high=bound)
    _ways(beside, ways)
    figure.suptitle(
        f"Own head: top-1 {percent(scores.top1)} on {len(scores.correct):,} images",
        x=0.01, ha="left", fontweight="bold",
    )  # fmt: skip
    return png(figure)


def _ways(axes: Any, ways: Mapping[str, Interval]) -> None:
    means = [100 * way.mean for way in ways.values()]
    below = [100 * (way.mean - way.low) for way in ways.values()]
    above = [100 * (way.high - way.mean) for way in ways.values()]
    places = range(len(ways))
    axes.errorbar(means, places, xerr=[below, above], color=OURS, fmt="o", capsize=3)
    for place, mean in zip(places, means, strict=True):
        axes.annotate(f"{mean:.1f}", (mean, place), (0, 8), textcoords="offset points", ha="center")
    axes.set_yticks(places, list(ways))
    axes.set_ylim(len(ways) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    tidy(axes, "All images, with 95 % intervals", "%", "")
