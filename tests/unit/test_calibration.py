"""The fitted temperature: a known one is found again, and it is where the loss is lowest."""

import pytest
import torch

from hashnext.errors import DataError
from hashnext.evaluation.calibration import HIGHEST, fit_temperature
from hashnext.models.activation import ACTIVATIONS, Activation, log_partition, probabilities
from hashnext.training.loss import LossConfig, Targets, loss


def sampled(temperature: float, posts: int = 6_000) -> tuple[torch.Tensor, Targets]:
    """Logits whose softmax at `temperature` is the truth, and one label a post drawn from it."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(posts, 12, generator=generator)
    labels = torch.multinomial(torch.softmax(logits / temperature, 1), 1, generator=generator)
    return logits, Targets(torch.arange(posts + 1), labels.flatten())


def drawn_alone(temperature: float, posts: int = 6_000) -> tuple[torch.Tensor, Targets]:
    """The same with every label of a post drawn on its own, from the sigmoid of its logit."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(posts, 12, generator=generator)
    drawn = torch.bernoulli(torch.sigmoid(logits / temperature), generator=generator)
    offsets = torch.cat([torch.zeros(1), drawn.sum(1).cumsum(0)]).long()
    return logits, Targets(offsets, drawn.nonzero()[:, 1])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    for draw, activation in zip((sampled, drawn_alone), ACTIVATIONS, strict=True):
        found = fit_temperature(*draw(temperature), activation).temperature
        assert found == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_neighbouring_temperatures_lose_more(activation: Activation) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(300, 9, generator=generator) - 4
    labels = torch.stack([torch.randperm(9, generator=generator)[:2] for _ in range(300)]).flatten()
    targets = Targets(torch.arange(0, 601, 2), labels)  # two labels a post
    logits[torch.arange(300).repeat_interleave(2), labels] += 6
    fit = fit_temperature(logits, targets, activation)

    def loss_at(temperature: float) -> float:
        return float(loss(LossConfig(kind=activation), logits / temperature, targets).mean())

    assert fit.loss_after == pytest.approx(loss_at(fit.temperature))
    assert fit.loss_before == pytest.approx(loss_at(1.0))
    assert fit.loss_after < min(loss_at(fit.temperature * 1.05), loss_at(fit.temperature / 1.05))


def test_probabilities_are_the_slope_of_the_partition() -> None:
    for activation in ACTIVATIONS:
        logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
        log_partition(logits, activation).sum().backward()
        torch.testing.assert_close(logits.grad, probabilities(logits, activation).detach())


def test_logits_that_say_nothing_end_at_the_bound() -> None:
    logits, targets = sampled(1.0, 2000)
    assert fit_temperature(-logits, targets, "softmax").temperature == pytest.approx(HIGHEST)


def test_no_posts_is_an_error() -> None:
    targets = Targets(torch.zeros(1).long(), torch.zeros(0).long())
    with pytest.raises(DataError, match="no held-out post"):
        fit_temperature(torch.zeros(0, 5), targets, "softmax")
