"""How good is a network's representation for another task: the transfer probe, told as a story.

The training set alone decides the settings, on its selection slice; then the winner is fitted on
the whole training set, and the test set is looked at once.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from hashnext.errors import DataError
from hashnext.evaluation.features import extract_features, forward, pick_device
from hashnext.evaluation.finetune import FinetuneConfig, finetune
from hashnext.evaluation.labelled import LabelledSet
from hashnext.evaluation.probe import Selected, fit_probe, select_probe
from hashnext.evaluation.scores import TOP, score
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt


@dataclass(frozen=True, kw_only=True)
class TransferTask:
    """A training and a test set over the same labels."""

    train: LabelledSet
    test: LabelledSet

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.test.labels.tolist()) - set(self.train.labels.tolist())):
            raise DataError(
                f"test set: {len(unknown)} labels do not occur in the training set: {unknown[:5]}"
            )
        self.train.selection()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both sets; figures compare where it is the same."""
        return hashlib.sha256(
            f"{self.train.fingerprint} {self.test.fingerprint}".encode()
        ).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What came out."""

    figures: dict[str, Any]
    """top1 with the interval low and high, top5, mean_class_top1, selection_top1, the chosen
    setting, counts, seconds, and `per_class`: label, test images and top-1 of each class."""
    predictions: pa.Table
    """`id`, `label`, `top5` (list of labels, best first) and `correct`, one row a test image."""


def probe_transfer(model: ResNeXt, preprocess: Preprocess, task: TransferTask) -> Transfer:
    """Linear probe on frozen features.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    started = time.monotonic()
    device, targets = pick_device(), _targets(task.train)
    features = extract_features(model, preprocess, task.train).to(device)
    test_features = extract_features(model, preprocess, task.test).to(device)
    selected = _select(features, task.train)
    chosen = selected.probe.regularisation
    probe = fit_probe(features, targets.to(device), task.train.num_classes, chosen, selected.probe)
    figures = {
        "selection_top1": selected.top1,
        "regularisation": chosen,
        "converged": probe.converged,
        "seconds": round(time.monotonic() - started, 1),
    }
    return _report(probe.logits(test_features).cpu(), task, figures)


def finetune_transfer(
    model: ResNeXt, preprocess: Preprocess, task: TransferTask, config: FinetuneConfig, seed: int
) -> Transfer:
    """Fine-tuning of all weights; the learning rate is chosen on the selection slice.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    started = time.monotonic()
    held_out = task.train.selection()
    fitting, scoring = task.train.where(~held_out), task.train.where(held_out)
    top1 = {}
    for rate in config.learning_rates:
        tuned = finetune(model, preprocess, fitting, config, rate, seed)
        logits = forward(tuned, tuned, preprocess, scoring, "selection slice")
        predicted = fitting.classes[logits.argmax(1).numpy()]
        top1[rate] = float(np.mean(predicted == scoring.labels))
    chosen = max(top1, key=lambda rate: top1[rate])
    tuned = finetune(model, preprocess, task.train, config, chosen, seed)
    logits = forward(tuned, tuned, preprocess, task.test, "test set")
    figures = {
        "selection_top1": top1[chosen],
        "learning_rate": chosen,
        "seconds": round(time.monotonic() - started, 1),
    }
    return _report(logits, task, figures)


def selection_score(model: ResNeXt, preprocess: Preprocess, train: LabelledSet) -> dict[str, float]:
    """Figures by which trials are ranked: the probe fitted on 80 % of the training set, scored on
    the selection slice. No test set is read.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    features = extract_features(model, preprocess, train).to(pick_device())
    selected = _select(features, train)
    return {"selection_top1": selected.top1, "regularisation": selected.probe.regularisation}


def _select(features: Tensor, train: LabelledSet) -> Selected:
    device = features.device
    slice_ = torch.from_numpy(train.selection()).to(device)
    return select_probe(features, _targets(train).to(device), train.num_classes, slice_)


def _targets(images: LabelledSet) -> Tensor:
    return torch.from_numpy(np.searchsorted(images.classes, images.labels))


def _report(logits: Tensor, task: TransferTask, figures: dict[str, Any]) -> Transfer:
    test, classes = task.test, task.train.classes
    top = classes[torch.topk(logits, min(TOP, len(classes)), dim=1).indices.numpy()]
    scores = score(top, test.ids, test.labels)
    counts = {"num_train": len(task.train), "num_test": len(test), "num_classes": len(classes)}
    accuracy = {
        "top1": scores.top1.mean, "low": scores.top1.low, "high": scores.top1.high,
        "top5": scores.top5.mean, "mean_class_top1": scores.mean_class_top1.mean,
    }  # fmt: skip
    return Transfer(
        figures=accuracy | figures | counts | {"per_class": scores.per_class},
        predictions=scores.predictions,
    )
