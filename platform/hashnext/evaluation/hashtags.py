"""Hashtag prediction on held-out posts: how many of the first k predictions are right.

The definitions are HARRISON's (Park et al. 2016, arXiv:1605.05054), one figure a post:
precision@k is the share of the k predictions that are right, recall@k the share of the post's tags
among the k, accuracy@k is 1 when any of the k is right. Everything is per post, so that batches
can be concatenated and the figures bootstrapped.

HARRISON has no frequency bands. Of a band of labels, precision@k is the share of right ones among
those of the first k predictions of all posts that lie in the band; recall@k the share of the posts'
labels in the band that are among their post's k; accuracy@k the share of the posts with a label in
the band for which one of these is among the k. A figure that divides by nothing is left out: the
baseline of the commonest labels has no precision in the tail, where it predicts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TOP = 5
BANDS = ("head", "middle", "tail")
FIGURES = ("precision_at_1", "precision_at_5", "recall_at_5", "accuracy_at_5")


@dataclass(frozen=True, kw_only=True)
class HashtagScores:
    """Figures of the posts that carry a label; without one a post has no recall and is left out."""

    precision_at_1: NDArray[np.float64]
    """(n,) 0 or 1: the first prediction is right."""
    precision_at_5: NDArray[np.float64]
    """(n,) right predictions among the first five, divided by 5."""
    recall_at_5: NDArray[np.float64]
    """(n,) right predictions among the first five, divided by the post's number of labels."""
    accuracy_at_5: NDArray[np.float64]
    """(n,) 0 or 1: one of the first five is right."""
    first_band: NDArray[np.int64]
    """(n,) band of the first prediction."""
    band_predictions: NDArray[np.int64]
    """(n, 3) predictions among the first five, by the band of the label."""
    band_hits: NDArray[np.int64]
    """(n, 3) right predictions among the first five, by the band of the label."""
    band_labels: NDArray[np.int64]
    """(n, 3) labels of the post by band."""

    def __len__(self) -> int:
        return len(self.recall_at_5)

    def means(self) -> dict[str, float]:
        """Mean of each of FIGURES, and each of every band, as `recall_at_5_tail`."""
        return {name: float(getattr(self, name).mean()) for name in FIGURES} | {
            f"{name}_{band}": part / whole
            for place, band in enumerate(BANDS)
            for name, (part, whole) in zip(FIGURES, self._shares(place), strict=True)
            if whole
        }

    def _shares(self, band: int) -> list[tuple[int, int]]:
        """Numerator and denominator of each of FIGURES in a band."""
        first = self.first_band == band
        predicted, right, labels = (
            each[:, band] for each in (self.band_predictions, self.band_hits, self.band_labels)
        )
        pairs = (
            (self.precision_at_1[first], first),
            (right, predicted),
            (right, labels),
            (right > 0, labels > 0),
        )
        return [(int(part.sum()), int(whole.sum())) for part, whole in pairs]


def top_labels(logits: Tensor, k: int = TOP) -> NDArray[np.int64]:
    """Labels with the k highest logits, best first: int64 (n, min(k, V)) from (n, V)."""
    return torch.topk(logits, min(k, logits.shape[1]), dim=1).indices.cpu().numpy()


def most_frequent_labels(posts: NDArray[np.int64], k: int = TOP) -> NDArray[np.int64]:
    """The baseline that looks at no image: the k labels with most training posts, int64 (k,).

    Args:
        posts: training posts of each label, (V,).
    """
    return np.argsort(-posts, kind="stable")[:k]


def frequency_bands(posts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Band of each label: int64 (V,), an index into BANDS.

    Labels are sorted by posts and cut where the cumulated assignments reach 1/3 and 2/3, so each
    band holds about as many assignments as the others, and the tail far more labels.
    """
    order = np.argsort(-posts, kind="stable")
    before = np.cumsum(posts[order]) - posts[order]
    bands = np.empty(len(posts), dtype=np.int64)
    bands[order] = np.minimum(3 * before // max(int(posts.sum()), 1), len(BANDS) - 1)
    return bands


def hits(
    top: NDArray[np.int64], offsets: NDArray[np.int64], labels: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Which predictions are among their post's labels: bool (n, k).

    Args:
        top: predicted labels, best first, (n, k); or (k,) for the same ones on every post.
        offsets: start of each post's labels, (n + 1,).
        labels: label ids, unique within a post, (assignments,).
    """
    counts = np.diff(offsets)
    posts = np.arange(len(counts), dtype=np.int64)
    stride = 1 + max(int(top.max(initial=0)), int(labels.max(initial=0)))
    truth = np.repeat(posts, counts) * stride + labels[offsets[0] : offsets[-1]]
    return np.isin(posts[:, None] * stride + top, truth)


def score(
    top: NDArray[np.int64],
    offsets: NDArray[np.int64],
    labels: NDArray[np.int32],
    bands: NDArray[np.int64],
) -> HashtagScores:
    """Figures of a batch of posts.

    Args:
        top: predicted labels, best first, at least the first five of them: (n, 5), or (5,) for the
            same ones on every post; fewer columns only where the vocabulary has fewer labels.
        offsets: start of each post's labels, (n + 1,).
        labels: label ids, unique within a post, (assignments,).
        bands: band of each label, (V,).
    """
    counts = np.diff(offsets)
    labelled = counts > 0
    right = hits(top[..., :TOP], offsets, labels)[labelled]
    predicted = np.broadcast_to(bands[top[..., :TOP]], (len(counts), right.shape[1]))[labelled]
    of_band = predicted[..., None] == np.arange(len(BANDS))
    found = right.sum(axis=1)
    posts = np.repeat(np.arange(len(counts)), counts)
    band_labels = np.zeros((len(counts), len(BANDS)), dtype=np.int64)
    np.add.at(band_labels, (posts, bands[labels[offsets[0] : offsets[-1]]]), 1)
    return HashtagScores(
        precision_at_1=right[:, 0].astype(np.float64),
        precision_at_5=found / TOP,
        recall_at_5=found / counts[labelled],
        accuracy_at_5=(found > 0).astype(np.float64),
        first_band=predicted[:, 0],
        band_predictions=of_band.sum(axis=1),
        band_hits=(right[..., None] & of_band).sum(axis=1),
        band_labels=band_labels[labelled],
    )


def concatenate(batches: Sequence[HashtagScores]) -> HashtagScores:
    """The scores of several batches as one, in order."""
    names = HashtagScores.__dataclass_fields__
    return HashtagScores(**{n: np.concatenate([getattr(b, n) for b in batches]) for n in names})
