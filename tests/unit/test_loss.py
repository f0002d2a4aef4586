"""The multi-label softmax against PyTorch's own cross-entropy on dense targets."""

import math

import torch
from torch.nn.functional import cross_entropy

from hashnext.training.loss import softmax_loss

OFFSETS = torch.tensor([0, 1, 4, 6])
LABELS = torch.tensor([2, 0, 1, 4, 3, 4])


def dense_targets() -> torch.Tensor:
    targets = torch.zeros(3, 5)
    for row in range(3):
        labels = LABELS[OFFSETS[row] : OFFSETS[row + 1]]
        targets[row, labels] = 1 / len(labels)
    return targets


def test_equals_dense_cross_entropy_in_value_and_gradient() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    ours = softmax_loss(logits, OFFSETS, LABELS)
    theirs = cross_entropy(logits, dense_targets(), reduction="none")
    torch.testing.assert_close(ours, theirs)
    (a,) = torch.autograd.grad(ours.sum(), logits)
    (b,) = torch.autograd.grad(theirs.sum(), logits)
    torch.testing.assert_close(a, b)


def test_weights_share_the_target() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 6.0])
    targets = (dense_targets() > 0) * weights
    targets /= targets.sum(1, keepdim=True)
    theirs = cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(softmax_loss(logits, OFFSETS, LABELS, weights), theirs)
    even = softmax_loss(logits, OFFSETS, LABELS, torch.ones(5))
    torch.testing.assert_close(even, softmax_loss(logits, OFFSETS, LABELS))


def test_floor_is_log_k() -> None:
    logits = torch.full((1, 5), -50.0)
    logits[0, :3] = 50.0
    loss = softmax_loss(logits, torch.tensor([0, 3]), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(loss, torch.tensor([math.log(3)]))
