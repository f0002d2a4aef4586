"""How often predictions are right: over all images, over classes, and one row an image."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashnext.evaluation.bootstrap import Interval, class_mean_interval, mean_interval

TOP = 5


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Accuracies with their 95 % intervals."""

    top1: Interval
    """Share of images whose first answer is right."""
    top5: Interval
    """Share of images whose first five answers hold the right one."""
    mean_class_top1: Interval
    """Top-1 of each class, averaged over the classes."""
    per_class: list[dict[str, Any]]
    """`label`, `images` and `top1` of each class that has images."""
    predictions: pa.Table
    """`id`, `label`, `top5` (list of labels, best first) and `correct`, one row an image."""

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the first answer is right: bool (n,)."""
        correct: NDArray[np.bool_] = self.predictions["correct"].to_numpy()
        return correct


def score(top: NDArray[np.int64], ids: Sequence[str], labels: NDArray[np.int64]) -> Scores:
    """Score answers.

    Args:
        top: (n, k) labels, the surest first; k is TOP, or less where there are fewer labels.
        ids: of the images, (n,).
        labels: the right ones, (n,).
    """
    right = top == labels[:, None]
    correct = right[:, 0]
    predictions = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "label": pa.array(labels, pa.int64()),
            "top5": pa.array(list(top), pa.list_(pa.int64())),
            "correct": pa.array(correct, pa.bool_()),
        }
    )
    return Scores(
        top1=mean_interval(correct),
        top5=mean_interval(right.any(axis=1)),
        mean_class_top1=class_mean_interval(correct, labels),
        per_class=per_class(correct, labels),
        predictions=predictions,
    )


def per_class(
    correct: NDArray[np.bool_] | NDArray[np.float64], labels: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """`label`, `images` and `top1` of each class that has images, by label.

    Args:
        correct: whether an image's answer is right, or in which share of several draws, (n,).
        labels: class of each image, (n,).
    """
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    top1 = np.bincount(places, weights=correct) / counts
    rows = zip(classes.tolist(), counts.tolist(), top1.tolist(), strict=True)
    return [{"label": label, "images": images, "top1": share} for label, images, share in rows]


def accuracy_figures(top1: Interval, top5: Interval, mean_class_top1: Interval) -> dict[str, Any]:
    """Flat `top1` with its ends `low` and `high`; the other two with theirs inside."""
    return {
        "top1": top1.mean, "low": top1.low, "high": top1.high, "top5": asdict(top5),
        "mean_class_top1": asdict(mean_class_top1),
    }  # fmt: skip
