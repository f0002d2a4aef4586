"""Accuracy over the images of a test set: overall with its interval, and class by class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashnext.evaluation.bootstrap import Scores, mean_interval


def accuracy_figures(
    correct: Scores, among_five: Scores, labels: NDArray[np.int64]
) -> dict[str, Any]:
    """`top1` with the 95 % interval `low` to `high`, `top5`, and the mean over classes.

    Args:
        correct: whether the first answer is right, or in which share of several draws, (n,).
        among_five: the same of the first five answers, (n,).
        labels: class of each image, (n,).
    """
    interval = mean_interval(correct)
    return {
        "top1": interval.mean, "low": interval.low, "high": interval.high,
        "top5": float(among_five.mean()),
        "mean_class_top1": float(np.mean([row["top1"] for row in per_class(correct, labels)])),
    }  # fmt: skip


def per_class(correct: Scores, labels: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Label, images and top-1 of each class that has an image, by label."""
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    top1 = np.bincount(places, weights=correct) / counts
    rows = zip(classes.tolist(), counts.tolist(), top1.tolist(), strict=True)
    return [{"label": label, "images": images, "top1": share} for label, images, share in rows]
