"""k nearest neighbours on frozen features: nothing is fitted, and k alone is chosen.

Wu et al. 2018 (arXiv:1805.01978), section 3.4, as in DINO (Caron et al. 2021, arXiv:2104.14294):
each of the k training images with the highest cosine similarity s votes for its class with
exp(s / 0.07).
"""

import time

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hashnext.evaluation.feature_cache import cached_features
from hashnext.evaluation.features import ready_device
from hashnext.evaluation.transfer import Transfer, TransferTask, report, targets_of
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt

TEMPERATURE = 0.07
NEIGHBOURS = (1, 5, 10, 20)
"""Values of k to choose from on the selection slice."""
CHUNK = 1024
"""Images whose similarities to all training images are in memory at a time."""


def knn_transfer(model: ResNeXt, preprocess: Preprocess, task: TransferTask) -> Transfer:
    """Nearest neighbours; k is chosen on the selection slice of the training set.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    started, device = time.monotonic(), ready_device()
    train = cached_features(model, preprocess, task.train)
    test = cached_features(model, preprocess, task.test)
    bank, targets = train.features.to(device), targets_of(task.train).to(device)
    selection = torch.from_numpy(task.train.selection()).to(device)
    k, top1 = select_k(bank, targets, task.train.num_classes, selection)
    scores = class_scores(bank, targets, task.train.num_classes, test.features.to(device), k)
    figures = {
        "selection_top1": top1,
        "neighbours": k,
        "images_extracted": train.images + test.images,
        "seconds": round(time.monotonic() - started, 1),
    }
    return report(scores.cpu(), task, figures)


def select_k(
    features: Tensor, targets: Tensor, num_classes: int, selection: Tensor
) -> tuple[int, float]:
    """The k of NEIGHBOURS that is best on the slice, and its accuracy there; ties to the smaller.

    Args:
        features: float32 (N, D).
        targets: int64 (N,).
        num_classes: C.
        selection: bool (N,), the images to score; the others are their neighbours.
    """
    bank, known = normalize(features[~selection]), targets[~selection]
    queries, truth = normalize(features[selection]), targets[selection]
    right = {k: 0 for k in NEIGHBOURS if k <= len(bank)}
    for chunk, answers in zip(_chunks(queries), _chunks(truth), strict=True):
        similarities = chunk @ bank.T
        for k in right:
            predicted = _scores(similarities, known, num_classes, k).argmax(1)
            right[k] += int((predicted == answers).sum())
    best = max(right, key=lambda k: right[k])
    return best, right[best] / len(queries)


def class_scores(
    features: Tensor, targets: Tensor, num_classes: int, queries: Tensor, k: int
) -> Tensor:
    """Votes for each class: float32 (n, C); classes without a vote follow by their nearest image.

    Args:
        features: of the training images, float32 (N, D).
        targets: their classes, int64 (N,).
        num_classes: C; every class has at least one training image.
        queries: float32 (n, D).
        k: neighbours that vote, at most N.
    """
    bank = normalize(features)
    return torch.cat([
        _scores(chunk @ bank.T, targets, num_classes, k)
        for chunk in _chunks(normalize(queries))
    ])  # fmt: skip


def _chunks(rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(rows.split(CHUNK))  # type: ignore[no-untyped-call]  # of torch


def _scores(similarities: Tensor, targets: Tensor, num_classes: int, k: int) -> Tensor:
    n = len(similarities)
    best = similarities.topk(k, dim=1)
    weights = ((best.values - 1) / TEMPERATURE).exp()
    votes = similarities.new_zeros(n, num_classes)
    votes.scatter_add_(1, targets[best.indices], weights)
    nearest = similarities.new_full((n, num_classes), -1.0)
    nearest.scatter_reduce_(1, targets.expand(n, -1), similarities, "amax")
    return torch.where(votes > 0, votes, nearest - 2)
