"""What a network's logits mean: the probabilities that its loss trains."""

from typing import Literal, get_args

import torch
from torch import Tensor

Activation = Literal["softmax", "sigmoid"]
"""softmax: labels that share one target; sigmoid: each label on its own."""
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


def probabilities(logits: Tensor, activation: Activation) -> Tensor:
    """Of each label, float (N, V), from logits (N, V): they add up to 1 only after a softmax."""
    return torch.softmax(logits, 1) if activation == "softmax" else torch.sigmoid(logits)


def log_partition(logits: Tensor, activation: Activation) -> Tensor:
    """What the loss adds to the logits of the labels, float (N,); its gradient: probabilities."""
    if activation == "softmax":
        return torch.logsumexp(logits, 1)
    return torch.nn.functional.softplus(logits).sum(1)
