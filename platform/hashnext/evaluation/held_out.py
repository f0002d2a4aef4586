"""How well a network predicts the hashtags of held-out posts, beside the commonest hashtags."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from hashnext.evaluation.bootstrap import Interval, difference_interval, mean_interval
from hashnext.evaluation.calibration import Calibration, temperature_of
from hashnext.evaluation.hashtags import (
    frequency_bands,
    most_frequent_labels,
    score,
    top_labels,
)
from hashnext.evaluation.hierarchy import HierarchyReport, LabelNames, hierarchy_report
from hashnext.evaluation.predictions import Predictions, joined
from hashnext.evaluation.reliability import Reliability, cross_fitted, reliability
from hashnext.evaluation.thresholds import CalibrationConfig, Thresholds, calibrated_thresholds
from hashnext.training.prefetch import DeviceBatch
from hashnext.training.step import Stepper


@dataclass(frozen=True, kw_only=True)
class HeldOutReport:
    """Figures over all held-out posts with a label."""

    means: dict[str, float]
    """HARRISON's figures, recall@5 by band too."""
    baseline: dict[str, float]
    """The same of always predicting the commonest training labels."""
    precision_at_1: Interval
    gain: Interval
    """precision@1 minus the baseline's, paired."""
    calibration: Calibration
    before: Reliability
    """At temperature 1."""
    after: Reliability
    """Each half of the posts at the temperature fitted on the other."""
    thresholds: Thresholds
    hierarchy: HierarchyReport | None
    """None where no post has a label that a synset names."""

    @property
    def temperature(self) -> float:
        """What the logits are divided by before the activation."""
        return self.calibration.temperature

    def metrics(self) -> dict[str, float]:
        """Flat figures for curves and leaderboards."""
        return self.means | {
            "baseline_precision_at_1": self.baseline["precision_at_1"],
            "held_out_loss": self.calibration.loss_before,
            "temperature": self.temperature,
            "calibration_error_before": self.before.error,
            "calibration_error": self.after.error,
        }

    def figures(self) -> dict[str, Any]:
        """Everything, for `result.json`."""
        return {
            **self.metrics(),
            "posts": self.calibration.num_posts,
            "precision_at_1_interval": asdict(self.precision_at_1),
            "gain_over_baseline": asdict(self.gain),
            "baseline": self.baseline,
            "hierarchy": self.hierarchy.figures() if self.hierarchy else None,
            "thresholds": self.thresholds.figures(),
        }

    def calibration_document(self) -> dict[str, Any]:
        """`calibration.json` of the model package."""
        return {
            "temperature": self.temperature,
            "activation": self.calibration.activation,
            "precision": self.thresholds.precision,
            "thresholds": self.thresholds.values,
            "checked": self.thresholds.figures(),
            "reliability": {"before": self.before.document(), "after": self.after.document()},
        }


def predict(stepper: Stepper, batches: Iterator[DeviceBatch], num_labels: int) -> Predictions:
    """Logits of every post of the batches; the network must be in evaluation mode."""
    logits = [torch.empty(0, num_labels)]
    counts, labels = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    keys = [np.empty(0, np.uint64)]
    with torch.inference_mode():
        for batch in batches:
            logits.append(stepper.logits(batch.images).float().cpu())
            counts.append(np.diff(batch.host.offsets))
            labels.append(batch.host.labels)
            keys.append(batch.host.keys)
    columns = (np.concatenate(counts), np.concatenate(labels), np.concatenate(keys))
    return Predictions(torch.cat(logits), *columns, stepper.config.loss.kind)


def report(
    parts: Sequence[Predictions],
    label_posts: Sequence[int],
    names: LabelNames,
    config: CalibrationConfig,
) -> HeldOutReport | None:
    """Figures over the workers' predictions together; None where there are none.

    Args:
        parts: predictions of each worker; every post has a label.
        label_posts: training posts of each label.
        names: what names each label.
        config: what the thresholds are to promise.
    """
    posts = joined(parts)
    if not len(posts):
        return None
    commonness, half = np.asarray(label_posts), posts.first_half()
    bands = frequency_bands(commonness)
    ours = score(top_labels(posts.logits), posts.offsets, posts.labels, bands)
    baseline = score(most_frequent_labels(commonness), posts.offsets, posts.labels, bands)
    calibration = temperature_of(posts)
    return HeldOutReport(
        means=ours.means(),
        baseline=baseline.means(),
        precision_at_1=mean_interval(ours.precision_at_1),
        gain=difference_interval(ours.precision_at_1, baseline.precision_at_1),
        calibration=calibration,
        before=reliability(posts, np.ones(len(posts))),
        after=reliability(posts, cross_fitted(posts, half)),
        thresholds=calibrated_thresholds(posts, half, calibration.temperature, config),
        hierarchy=hierarchy_report(posts, commonness, names),
    )
