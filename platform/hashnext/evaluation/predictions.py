"""What a network says of some posts, beside the labels that they carry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashnext.hashtags.view import spans
from hashnext.models.activation import Activation
from hashnext.training.loss import Targets

ROWS = 1024
"""Posts whose probabilities are worked out at once: a copy of all logits would not fit twice."""


@dataclass(frozen=True)
class Predictions:
    """Logits and labels of some posts."""

    logits: Tensor
    """float32 (n, V)."""
    counts: NDArray[np.int64]
    """Labels of each post, (n,)."""
    labels: NDArray[np.int32]
    """Label ids, (assignments,)."""
    keys: NDArray[np.uint64]
    """Of the posts, (n,); see `posts.identity`."""
    activation: Activation = "softmax"
    """What the network was trained with."""

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Start of each post's labels, int64 (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @property
    def owners(self) -> NDArray[np.int64]:
        """Place of the post of each label, int64 (assignments,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def targets(self) -> Targets:
        """The labels as the loss takes them; they share a post's target evenly."""
        return Targets(torch.from_numpy(self.offsets), torch.from_numpy(self.labels).long())

    def by_rows(self, function: Callable[..., Tensor], *beside: Tensor) -> Tensor:
        """Results of a function of some posts' logits, for all posts: (n, ...).

        Args:
            function: of float32 (r, V) and r rows of each of `beside`, to (r, ...).
            beside: (n, ...).
        """
        columns = (torch.split(each, ROWS) for each in (self.logits, *beside))
        return torch.cat([function(*parts) for parts in zip(*columns, strict=True)])

    def where(self, mask: NDArray[np.bool_]) -> "Predictions":
        """Those of the posts for which `mask` (n,) is true."""
        starts, stops = self.offsets[:-1][mask], self.offsets[1:][mask]
        return replace(
            self, logits=self.logits[torch.from_numpy(mask)], counts=self.counts[mask],
            labels=self.labels[spans(starts, stops)], keys=self.keys[mask],
        )  # fmt: skip

    def first_half(self) -> NDArray[np.bool_]:
        """About half of the posts, by their keys, so the same ones in every run: bool (n,)."""
        # The last three digits say which posts are held out.
        even: NDArray[np.bool_] = self.keys // np.uint64(1000) % np.uint64(2) == 0
        return even


def sample(keys: NDArray[np.uint64], limit: int) -> NDArray[np.bool_]:
    """Which of some posts are the `limit` of the lowest keys: bool (n,).

    Keys are hashes, so it is a random sample; and as its order is that of the keys as numbers, it
    leans neither to what is held out nor to a half, which their last digits say.
    """
    if len(keys) <= limit:
        return np.ones(len(keys), np.bool_)
    chosen: NDArray[np.bool_] = keys <= np.partition(keys, limit - 1)[limit - 1]
    return chosen


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several workers, one at least, as one, in order."""
    return Predictions(
        torch.cat([part.logits for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.keys for part in parts]),
        parts[0].activation,
    )
