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
from hashnext.training.loss import LossConfig, Targets, loss

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


def temperature_of(posts: Predictions) -> Calibration:
    """The temperature of some posts' predictions; every post has a label.

    Raises:
        DataError: there is no post.
    """
    offsets, labels = torch.from_numpy(posts.offsets), torch.from_numpy(posts.labels)
    return fit_temperature(posts.logits, Targets(offsets, labels.long()), posts.activation)


def fit_temperature(logits: Tensor, targets: Targets, activation: Activation) -> Calibration:
    """Minimise the loss of held-out posts over the temperature.

    With s = 1 / T the loss is convex: its slope, mean(<probabilities(s z), z> - <target, z>), rises
    with s, and bisection on log s finds its zero.

    Args:
        logits: float (N, V).
        targets: of the N posts.
        activation: what the network was trained with.

    Raises:
        DataError: there is no post.
    """
    if not len(logits):
        raise DataError("calibration: no held-out post carries a label of the vocabulary")
    logits = logits.float()
    kind = LossConfig(kind=activation)
    aimed = log_partition(logits, activation) - loss(kind, logits, targets)  # <target, z>
    low, high = -math.log(HIGHEST), -math.log(LOWEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        expected = (probabilities(math.exp(middle) * logits, activation) * logits).sum(1)
        if (expected - aimed).double().mean() > 0:
            high = middle
        else:
            low = middle
    temperature = math.exp(-(low + high) / 2)
    return Calibration(
        temperature=temperature,
        activation=activation,
        loss_before=float(loss(kind, logits, targets).mean()),
        loss_after=float(loss(kind, logits / temperature, targets).mean()),
        num_posts=len(logits),
    )
