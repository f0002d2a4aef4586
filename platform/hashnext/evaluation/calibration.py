"""One temperature for the logits, so that their probabilities mean what they say.

Guo et al. 2017 (arXiv:1706.04599), section 4.2, with the targets that the network was trained on:
1/k for each of k labels under a softmax, 1 under sigmoids.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hashnext.errors import DataError
from hashnext.evaluation.predictions import Predictions
from hashnext.models.activation import Activation, log_partition, probabilities
from hashnext.training.loss import LossConfig, loss

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of the search; a fit that ends on one means that the logits say next to nothing."""
HALVINGS = 40


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted temperature: the logits are divided by it before the activation."""

    temperature: float
    activation: Activation
    loss_before: float
    """Mean loss at temperature 1."""
    loss_after: float
    """Mean loss at the fitted temperature."""
    num_posts: int
    """Held-out posts that it was fitted on."""


def fit_temperature(posts: Predictions) -> Calibration:
    """Minimise the loss of held-out posts over the temperature.

    With s = 1 / T the loss is convex: its slope, mean(<probabilities(s z), z> - <target, z>), rises
    with s, and bisection on log s finds its zero.

    Args:
        posts: predictions; every post has a label.

    Raises:
        DataError: there is no post.
    """
    if not len(posts):
        raise DataError("calibration: no held-out post carries a label of the vocabulary")
    before, activation = losses(posts), posts.activation
    aimed = posts.by_rows(lambda z: log_partition(z, activation)) - before  # <target, z>
    low, high = -math.log(HIGHEST), -math.log(LOWEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        expected = _expected_logit(posts, math.exp(middle))
        if (expected - aimed).double().mean() > 0:
            high = middle
        else:
            low = middle
    temperature = math.exp(-(low + high) / 2)
    return Calibration(
        temperature=temperature,
        activation=activation,
        loss_before=float(before.mean()),
        loss_after=float(losses(posts, temperature).mean()),
        num_posts=len(posts),
    )


def losses(posts: Predictions, temperature: float = 1.0) -> Tensor:
    """Loss of each post at a temperature, without smoothing: float32 (n,)."""
    kind, targets = LossConfig(kind=posts.activation), posts.targets
    return posts.by_rows(
        lambda z, rows: loss(kind, z / temperature, targets.take(rows)), torch.arange(len(posts))
    )


def _expected_logit(posts: Predictions, scale: float) -> Tensor:
    """<probabilities(s z), z> of each post, float32 (n,)."""
    return posts.by_rows(lambda z: (probabilities(scale * z, posts.activation) * z).sum(1))
