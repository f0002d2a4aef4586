"""How good is a network's representation for another task: the transfer probe, told as a story.

The training set alone decides the settings, on its selection slice; then the winner is fitted on
the whole training set, and the test set is looked at once.
"""

import hashlib
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashnext.errors import DataError
from hashnext.evaluation.feature_cache import cached_features
from hashnext.evaluation.features import extract_features, forward, ready_device
from hashnext.evaluation.finetune import FinetuneConfig, finetune
from hashnext.evaluation.labelled import LabelledSet
from hashnext.evaluation.probe import Selected, fit_probe, select_probe
from hashnext.evaluation.scores import TOP, accuracy_figures, score
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
    """`id`, `label`, `top5` (list of labels, best first) and `correct`, one row a test image; with
    several draws `correct` is the share of them, and there is no `top5`."""


def probe_transfer(model: ResNeXt, preprocess: Preprocess, task: TransferTask) -> Transfer:
    """Linear probe on frozen features.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    started = time.monotonic()
    device, targets = ready_device(), targets_of(task.train)
    train = cached_features(model, preprocess, task.train)
    test = cached_features(model, preprocess, task.test)
    features = train.features.to(device)
    selected = _select(features, task.train)
    chosen = selected.probe.regularisation
    probe = fit_probe(features, targets.to(device), task.train.num_classes, chosen, selected.probe)
    figures = {
        "selection_top1": selected.top1,
        "regularisation": chosen,
        "converged": probe.converged,
        "images_extracted": train.images + test.images,
        "seconds": round(time.monotonic() - started, 1),
    }
    return report(probe.logits(test.features.to(device)).cpu(), task, figures)


def finetune_transfer(
    model: ResNeXt, preprocess: Preprocess, task: TransferTask, config: FinetuneConfig, seed: int
) -> Transfer:
    """Fine-tuning of all weights; learning rate and weight decay are chosen on the selection slice.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    started = time.monotonic()
    held_out = task.train.selection()
    fitting, scoring = task.train.where(~held_out), task.train.where(held_out)
    top1 = {}
    for setting in config.grid:
        tuned = finetune(model, preprocess, fitting, config, setting, seed)
        logits = forward(tuned, tuned, preprocess, scoring, "selection slice")
        predicted = fitting.classes[logits.argmax(1).numpy()]
        top1[setting] = float(np.mean(predicted == scoring.labels))
    chosen = max(top1, key=lambda setting: top1[setting])
    tuned = finetune(model, preprocess, task.train, config, chosen, seed)
    logits = forward(tuned, tuned, preprocess, task.test, "test set")
    figures = {
        "selection_top1": top1[chosen],
        **asdict(chosen),
        "grid": [{**asdict(setting), "selection_top1": top1[setting]} for setting in config.grid],
        "seconds": round(time.monotonic() - started, 1),
    }
    return report(logits, task, figures)


def selection_score(model: ResNeXt, preprocess: Preprocess, train: LabelledSet) -> dict[str, float]:
    """Figures by which trials are ranked: the probe fitted on 80 % of the training set, scored on
    the selection slice. No test set is read, and nothing is kept: a trial is scored once.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    features = extract_features(model, preprocess, train).to(ready_device())
    selected = _select(features, train)
    return {"selection_top1": selected.top1, "regularisation": selected.probe.regularisation}


def _select(features: Tensor, train: LabelledSet) -> Selected:
    device = features.device
    slice_ = torch.from_numpy(train.selection()).to(device)
    return select_probe(features, targets_of(train).to(device), train.num_classes, slice_)


def targets_of(images: LabelledSet) -> Tensor:
    """Place of each image's label among the classes: int64 (n,)."""
    return torch.from_numpy(np.searchsorted(images.classes, images.labels))


def ranked(scores: Tensor, classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels of the TOP highest scores (n, C), best first: int64 (n, min(TOP, C))."""
    top: NDArray[np.int64] = torch.topk(scores, min(TOP, len(classes)), dim=1).indices.numpy()
    labels: NDArray[np.int64] = classes[top]
    return labels


def counts(task: TransferTask) -> dict[str, int]:
    """Images and classes of the task."""
    train, test = task.train, task.test
    return {"num_train": len(train), "num_test": len(test), "num_classes": train.num_classes}


def report(scores: Tensor, task: TransferTask, figures: dict[str, Any]) -> Transfer:
    """What scores (n, C) of the test images come to, with the figures of how they were made."""
    test = task.test
    found = score(ranked(scores, task.train.classes), test.ids, test.labels)
    accuracy = accuracy_figures(found.top1, found.top5, found.mean_class_top1)
    classes = {"per_class": found.per_class}
    return Transfer(
        figures=accuracy | figures | counts(task) | classes, predictions=found.predictions
    )
