"""How well a network predicts the hashtags of held-out posts, beside the commonest hashtags."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashnext.evaluation.bootstrap import Interval, difference_interval, mean_interval
from hashnext.evaluation.calibration import Calibration, fit_temperature
from hashnext.evaluation.hashtags import (
    frequency_bands,
    most_frequent_labels,
    score,
    top_labels,
)
from hashnext.training.prefetch import DeviceBatch
from hashnext.training.step import Stepper


@dataclass(frozen=True, kw_only=True)
class HeldOutReport:
    """Figures over all held-out posts with a label."""

    means: dict[str, float]
    """HARRISON's figures, recall@5 by band too."""
    precision_at_1: Interval
    baseline_precision_at_1: float
    """Of always predicting the commonest training label."""
    gain: Interval
    """precision@1 minus the baseline's, paired."""
    calibration: Calibration

    @property
    def temperature(self) -> float:
        """What the logits are divided by before the softmax."""
        return self.calibration.temperature

    def metrics(self) -> dict[str, float]:
        """Flat figures for curves and leaderboards."""
        return self.means | {
            "baseline_precision_at_1": self.baseline_precision_at_1,
            "held_out_loss": self.calibration.loss_before,
            "temperature": self.temperature,
        }

    def figures(self) -> dict[str, Any]:
        """Everything, for `result.json`."""
        return {
            **self.metrics(),
            "posts": self.calibration.num_posts,
            "precision_at_1_interval": asdict(self.precision_at_1),
            "gain_over_baseline": asdict(self.gain),
        }


@dataclass(frozen=True)
class Predictions:
    """Logits and labels of some posts."""

    logits: Tensor
    """float32 (n, V)."""
    counts: NDArray[np.int64]
    """Labels of each post, (n,)."""
    labels: NDArray[np.int32]
    """Label ids, (assignments,)."""


def predict(stepper: Stepper, batches: Iterator[DeviceBatch], num_labels: int) -> Predictions:
    """Logits of every post of the batches; the network must be in evaluation mode."""
    logits = [torch.empty(0, num_labels)]
    counts, labels = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    with torch.inference_mode():
        for batch in batches:
            logits.append(stepper.logits(batch.images).float().cpu())
            counts.append(np.diff(batch.host.offsets))
            labels.append(batch.host.labels)
    return Predictions(torch.cat(logits), np.concatenate(counts), np.concatenate(labels))


def report(parts: list[Predictions], label_posts: list[int]) -> HeldOutReport | None:
    """Figures over the workers' predictions together; None where there are none.

    Args:
        parts: predictions of each worker.
        label_posts: training posts of each label.
    """
    logits = torch.cat([part.logits for part in parts])
    if not len(logits):
        return None
    labels = np.concatenate([part.labels for part in parts])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.counts for part in parts]))])
    posts = np.asarray(label_posts)
    bands = frequency_bands(posts)
    ours = score(top_labels(logits), offsets, labels, bands)
    baseline = score(most_frequent_labels(posts), offsets, labels, bands)
    return HeldOutReport(
        means=ours.means(),
        precision_at_1=mean_interval(ours.precision_at_1),
        baseline_precision_at_1=float(baseline.precision_at_1.mean()),
        gain=difference_interval(ours.precision_at_1, baseline.precision_at_1),
        calibration=fit_temperature(
            logits, torch.from_numpy(offsets), torch.from_numpy(labels.astype(np.int64))
        ),
    )
