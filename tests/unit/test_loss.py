"""The multi-label softmax against PyTorch's own cross-entropy on dense targets."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from hashnext.errors import ConfigError
from hashnext.models.activation import Activation
from hashnext.training.loss import (
    LossConfig,
    Targets,
    loss,
    sigmoid_loss,
    softmax_loss,
    target_entropy,
)

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
    found = softmax_loss(logits, torch.tensor([0, 3]), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(found, torch.tensor([math.log(3)]))


def random_logits() -> torch.Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_with_smoothing_equals_pytorchs(smoothing: float) -> None:
    theirs = cross_entropy(
        random_logits(), dense_targets(), reduction="none", label_smoothing=smoothing
    )
    ours = softmax_loss(random_logits(), OFFSETS, LABELS, smoothing=smoothing)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sigmoid_equals_pytorchs_on_dense_targets(smoothing: float) -> None:
    targets = (dense_targets() > 0).float() * (1 - smoothing) + smoothing / 2
    theirs = binary_cross_entropy_with_logits(random_logits(), targets, reduction="none").sum(1)
    torch.testing.assert_close(sigmoid_loss(random_logits(), OFFSETS, LABELS, smoothing), theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 3.0, 4.0, 6.0])])
def test_the_floor_of_the_softmax_is_reached_by_the_target_itself(
    weights: torch.Tensor | None, smoothing: float
) -> None:
    config = LossConfig(label_smoothing=smoothing)
    targets = Targets(OFFSETS, LABELS, weights)
    dense = (dense_targets() > 0) * (torch.ones(5) if weights is None else weights)
    dense = dense / dense.sum(1, keepdim=True) * (1 - smoothing) + smoothing / 5
    floor = target_entropy(config, targets, 5)
    torch.testing.assert_close(loss(config, (dense + 1e-9).log(), targets), floor)
    assert (loss(config, random_logits(), targets) > floor).all()


def test_the_floor_of_the_sigmoid() -> None:
    config = LossConfig(kind="sigmoid", label_smoothing=0.2)
    best = torch.where(dense_targets() > 0, math.log(9), -math.log(9))  # 0.9 and 0.1
    targets = Targets(OFFSETS, LABELS)
    torch.testing.assert_close(loss(config, best, targets), target_entropy(config, targets, 5))
    assert target_entropy(LossConfig(kind="sigmoid"), targets, 5).tolist() == [0, 0, 0]


def test_targets_of_some_rows() -> None:
    found = Targets(OFFSETS, LABELS).take(torch.tensor([2, 0, 2]))
    assert found.offsets.tolist() == [0, 2, 3, 5]
    assert found.labels.tolist() == [3, 4, 2, 3, 4]


def test_bad_settings_name_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"loss\.label-smoothing = 1"):
        LossConfig(label_smoothing=1)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_floor_of_mixed_targets_is_the_entropy_of_the_mixture(
    kind: Activation, smoothing: float
) -> None:
    config = LossConfig(kind=kind, label_smoothing=smoothing)
    ours = Targets(torch.tensor([0, 2, 3]), torch.tensor([0, 3, 1]))
    theirs = Targets(torch.tensor([0, 1, 3]), torch.tensor([3, 1, 2]))  # two labels in common
    one = 1.0 if kind == "sigmoid" else 0.5
    own = torch.tensor([[one, 0, 0, one, 0], [0, 1, 0, 0, 0]])
    partner = torch.tensor([[0, 0, 0, 1, 0], [0, one, one, 0, 0]])
    target = (1 - smoothing) * (0.3 * own + 0.7 * partner)
    target = target + (smoothing / 5 if kind == "softmax" else smoothing / 2)
    expected = torch.special.entr(target).sum(1)
    if kind == "sigmoid":
        expected = expected + torch.special.entr(1 - target).sum(1)
    torch.testing.assert_close(target_entropy(config, ours, 5, theirs, 0.3), expected)
