"""Few-shot accuracy: the linear probe fitted on 1, 5 or 10 images of each class.

Which images these are is chance, so several draws are made and their accuracies averaged. Nothing
is left to tune a regularisation on, so it is fixed. All features share one scale, because the
deviation of one feature over a handful of images is mostly noise.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashnext.errors import ConfigError
from hashnext.evaluation.bootstrap import class_mean_interval, mean_interval
from hashnext.evaluation.feature_cache import cached_features
from hashnext.evaluation.features import ready_device
from hashnext.evaluation.labelled import LabelledSet
from hashnext.evaluation.probe import fit_probe
from hashnext.evaluation.scores import accuracy_figures, per_class
from hashnext.evaluation.transfer import Transfer, TransferTask, counts, ranked, targets_of
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt
from hashnext.posts.identity import post_keys


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """What is drawn and how it is fitted."""

    shots: tuple[int, ...] = (1, 5, 10)
    """Training images of each class; the last number gives the headline figure."""
    draws: int = 5
    """How often they are drawn anew."""
    regularisation: float = 1.0
    """Weight of the L2 penalty, fixed beforehand; see `probe`."""

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1 or list(self.shots) != sorted(set(self.shots)):
            raise ConfigError("few-shot.shots", self.shots, "at least one, ascending from 1 on")
        if self.draws < 1:
            raise ConfigError("few-shot.draws", self.draws, "must be at least 1")
        if self.regularisation <= 0:
            raise ConfigError("few-shot.regularisation", self.regularisation, "must be positive")


@dataclass(frozen=True)
class _Score:
    """Shares of the draws in which an image was right, (n,), and the accuracy of each draw."""

    correct: NDArray[np.float64]
    among_five: NDArray[np.float64]
    draws: list[float]

    def figures(self, labels: NDArray[np.int64]) -> dict[str, Any]:
        """The interval is over test images; how far the draws lie apart is in `draws`."""
        accuracy = accuracy_figures(
            mean_interval(self.correct), mean_interval(self.among_five),
            class_mean_interval(self.correct, labels),
        )  # fmt: skip
        return accuracy | {"draws": self.draws}


def few_shot_transfer(
    model: ResNeXt, preprocess: Preprocess, task: TransferTask, config: FewShotConfig, seed: int
) -> Transfer:
    """The probe on a few images of each class, averaged over the draws.

    Raises:
        ConfigError: a class has fewer training images than are to be drawn.
        DataError: an image cannot be decoded; the message names its id.
    """
    started = time.monotonic()
    _check_classes(task.train, config)
    train = cached_features(model, preprocess, task.train)
    test = cached_features(model, preprocess, task.test)
    features, queries = (found.features.to(ready_device()) for found in (train, test))
    scores = {shots: _score(features, queries, task, shots, config, seed) for shots in config.shots}
    labels, headline = task.test.labels, scores[config.shots[-1]]
    figures = headline.figures(labels) | {
        "few_shot": {str(shots): score.figures(labels) for shots, score in scores.items()},
        "images_extracted": train.images + test.images,
        "seconds": round(time.monotonic() - started, 1),
        **counts(task),
        "per_class": per_class(headline.correct, labels),
    }
    shares = {f"correct_at_{shots}": score.correct for shots, score in scores.items()}
    predictions = {"id": task.test.ids, "label": labels, "correct": headline.correct, **shares}
    return Transfer(figures=figures, predictions=pa.table(predictions))


def draw_shots(images: LabelledSet, shots: int, seed: int, draw: int) -> NDArray[np.int64]:
    """Rows of some images of each class, int64 (C * shots,), ordered by class.

    They are those with the smallest hash of seed, draw and id: the same for every model, and among
    those of the same draw with more shots.
    """
    keys = post_keys(pa.array([f"{seed} {draw} {name}" for name in images.ids]))
    order = np.lexsort((keys, images.labels))
    sizes = np.unique(images.labels, return_counts=True)[1]
    place = np.arange(len(images)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[place < shots]


def _score(
    features: Tensor, queries: Tensor, task: TransferTask, shots: int, config: FewShotConfig,
    seed: int,
) -> _Score:  # fmt: skip
    targets, right = targets_of(task.train).to(features.device), []
    for draw in range(config.draws):
        rows = torch.from_numpy(draw_shots(task.train, shots, seed, draw)).to(features.device)
        probe = fit_probe(
            features[rows], targets[rows], task.train.num_classes, config.regularisation,
            shared_scale=True,
        )  # fmt: skip
        top = ranked(probe.logits(queries).cpu(), task.train.classes)
        right.append(top == task.test.labels[:, None])
    every = np.stack(right)  # (draws, n, 5)
    correct, among_five = every[:, :, 0], every.any(axis=2)
    return _Score(correct.mean(axis=0), among_five.mean(axis=0), correct.mean(axis=1).tolist())


def _check_classes(train: LabelledSet, config: FewShotConfig) -> None:
    classes, sizes = np.unique(train.labels, return_counts=True)
    if (fewest := int(sizes.min())) < config.shots[-1]:
        label = int(classes[sizes.argmin()])
        raise ConfigError(
            "few-shot.shots", config.shots,
            f"label {label} has {fewest} training images; no class may have fewer than are drawn",
        )  # fmt: skip
