"""How well a network predicts the hashtags of held-out posts, beside the commonest hashtags.

The logits of the posts measured are kept, because the temperature is a function of all of them.
`CalibrationConfig.posts` bounds how many they are, and only the first worker gets them all: of
50,000 posts and 1,500 labels 300 MB, of 17,000 labels 3.4 GB.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from hashnext.evaluation.bootstrap import Interval, difference_interval, mean_interval
from hashnext.evaluation.calibration import Calibration, fit_temperature, losses
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
from hashnext.training.loop import Surroundings
from hashnext.training.prefetch import DeviceBatch
from hashnext.training.step import Stepper

PIECE = 256
"""Posts of each worker that go round at once."""


@dataclass(frozen=True, kw_only=True)
class HeldOutReport:
    """Figures over the held-out posts measured; each has a label."""

    posts: int
    loss: float
    """Mean over the posts, at temperature 1."""
    means: dict[str, float]
    """HARRISON's figures, of all labels and by frequency band."""
    baseline: dict[str, float]
    """The same of always predicting the commonest training labels."""
    precision_at_1: Interval
    gain: Interval
    """precision@1 minus the baseline's, paired."""
    calibration: Calibration
    """Fitted on the half that chooses the thresholds."""
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
            "held_out_loss": self.loss,
            "temperature": self.temperature,
            "calibration_error_before": self.before.error,
            "calibration_error": self.after.error,
        }

    def figures(self) -> dict[str, Any]:
        """Everything, for `result.json`."""
        return {
            **self.metrics(),
            "posts": self.posts,
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


def collected(part: Predictions, around: Surroundings) -> list[Predictions]:
    """Every worker's predictions, in the order of ranks, for the first worker; none for others.

    A few posts of each go round at a time, so that no other worker ever holds all of them.
    """
    pieces: list[list[Predictions]] = [[] for _ in range(around.world)]
    places = np.arange(len(part))
    for start in range(0, max(around.gather(len(part))), PIECE):
        given = around.gather(part.where(places // PIECE == start // PIECE))
        if around.rank == 0:
            for own, piece in zip(pieces, given, strict=True):
                own.append(piece)
    return [piece for own in pieces for piece in own]


def report(
    parts: Sequence[Predictions],
    label_posts: Sequence[int],
    names: LabelNames,
    config: CalibrationConfig,
) -> HeldOutReport | None:
    """Figures over the workers' predictions together; None where there are none.

    Args:
        parts: predictions of the workers; every post has a label.
        label_posts: training posts of each label.
        names: what names each label.
        config: what the thresholds are to promise.
    """
    if not any(map(len, parts)):
        return None
    posts = joined(parts)
    commonness, half = np.asarray(label_posts), posts.first_half()
    bands = frequency_bands(commonness)
    ours = score(top_labels(posts.logits), posts.offsets, posts.labels, bands)
    baseline = score(most_frequent_labels(commonness), posts.offsets, posts.labels, bands)
    calibration = fit_temperature(posts.where(half) if half.any() else posts)
    return HeldOutReport(
        posts=len(posts),
        loss=float(losses(posts).mean()),
        means=ours.means(),
        baseline=baseline.means(),
        precision_at_1=mean_interval(ours.precision_at_1),
        gain=difference_interval(ours.precision_at_1, baseline.precision_at_1),
        calibration=calibration,
        before=reliability(posts, np.ones(len(posts))),
        after=reliability(posts, cross_fitted(posts, half, calibration.temperature)),
        thresholds=calibrated_thresholds(posts, half, calibration.temperature, config),
        hierarchy=hierarchy_report(posts, commonness, names),
    )
