"""One temperature for the softmax, so that its probabilities mean what they say.

Guo et al. 2017 (arXiv:1706.04599), section 4.2, with the 1/k targets of multi-label softmax.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hashnext.errors import DataError
from hashnext.evaluation.predictions import Predictions
from hashnext.training.loss import softmax_loss

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of the search; a fit that ends on one means that the logits say next to nothing."""
HALVINGS = 40


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted temperature: the logits are divided by it before the softmax."""

    temperature: float
    loss_before: float
    """Mean cross-entropy at temperature 1."""
    loss_after: float
    """Mean cross-entropy at the fitted temperature."""
    num_posts: int
    """Held-out posts that it was fitted on."""


def temperature_of(posts: Predictions) -> Calibration:
    """The temperature of some posts' predictions; every post has a label.

    Raises:
        DataError: there is no post.
    """
    offsets, labels = torch.from_numpy(posts.offsets), torch.from_numpy(posts.labels)
    return fit_temperature(posts.logits, offsets, labels.long())


def fit_temperature(logits: Tensor, offsets: Tensor, labels: Tensor) -> Calibration:
    """Minimise the 1/k softmax cross-entropy of held-out posts over the temperature.

    With s = 1 / T the loss is convex: its slope, mean(<softmax(s z), z> - mean of z over the
    post's labels), rises with s, and bisection on log s finds its zero.

    Args:
        logits: float (N, V).
        offsets: int64 (N + 1,), start of each post's labels; every post has at least one.
        labels: int64 (assignments,), label ids.

    Raises:
        DataError: there is no post.
    """
    if not len(logits):
        raise DataError("calibration: no held-out post carries a label of the vocabulary")
    logits = logits.float()
    # lse(z) - loss = mean logit of the post's labels
    target = torch.logsumexp(logits, 1) - softmax_loss(logits, offsets, labels)
    low, high = -math.log(HIGHEST), -math.log(LOWEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        expected = (torch.softmax(math.exp(middle) * logits, 1) * logits).sum(1)
        if (expected - target).double().mean() > 0:
            high = middle
        else:
            low = middle
    temperature = math.exp(-(low + high) / 2)
    return Calibration(
        temperature=temperature,
        loss_before=float(softmax_loss(logits, offsets, labels).mean()),
        loss_after=float(softmax_loss(logits / temperature, offsets, labels).mean()),
        num_posts=len(logits),
    )
