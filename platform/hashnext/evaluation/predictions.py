"""What a network says of some posts, beside the labels that they carry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashnext.hashtags.view import spans
from hashnext.models.activation import Activation


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


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several workers, one at least, as one, in order."""
    return Predictions(
        torch.cat([part.logits for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.keys for part in parts]),
        parts[0].activation,
    )
