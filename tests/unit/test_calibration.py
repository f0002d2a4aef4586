"""The fitted temperature: a known one is found again, and it is where the loss is lowest."""

import numpy as np
import pytest
import torch

from hashnext.errors import DataError
from hashnext.evaluation import calibration
from hashnext.evaluation.calibration import HIGHEST, fit_temperature
from hashnext.evaluation.predictions import ROWS, Predictions
from hashnext.models.activation import ACTIVATIONS, Activation, log_partition, probabilities
from hashnext.training.loss import LossConfig, loss


def made(
    logits: torch.Tensor, counts: torch.Tensor, labels: torch.Tensor, activation: Activation
) -> Predictions:
    keys = np.arange(len(logits), dtype=np.uint64)
    ids = labels.numpy().astype(np.int32)
    return Predictions(logits, counts.long().numpy(), ids, keys, activation)


def sampled(temperature: float, posts: int = 6_000) -> Predictions:
    """Logits whose softmax at `temperature` is the truth, and one label a post drawn from it."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(posts, 12, generator=generator)
    labels = torch.multinomial(torch.softmax(logits / temperature, 1), 1, generator=generator)
    return made(logits, torch.ones(posts), labels.flatten(), "softmax")


def drawn_alone(temperature: float, posts: int = 6_000) -> Predictions:
    """The same with every label of a post drawn on its own, from the sigmoid of its logit."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(posts, 12, generator=generator)
    drawn = torch.bernoulli(torch.sigmoid(logits / temperature), generator=generator)
    return made(logits, drawn.sum(1), drawn.nonzero()[:, 1], "sigmoid")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    for draw in (sampled, drawn_alone):
        found = fit_temperature(draw(temperature)).temperature
        assert found == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_neighbouring_temperatures_lose_more(activation: Activation) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(300, 9, generator=generator) - 4
    labels = torch.stack([torch.randperm(9, generator=generator)[:2] for _ in range(300)]).flatten()
    logits[torch.arange(300).repeat_interleave(2), labels] += 6
    posts = made(logits, torch.full((300,), 2), labels, activation)
    fit = fit_temperature(posts)

    def loss_at(temperature: float) -> float:
        return float(loss(LossConfig(kind=activation), logits / temperature, posts.targets).mean())

    assert fit.loss_after == pytest.approx(loss_at(fit.temperature))
    assert fit.loss_before == pytest.approx(loss_at(1.0))
    assert fit.loss_after < min(loss_at(fit.temperature * 1.05), loss_at(fit.temperature / 1.05))


def test_probabilities_are_the_slope_of_the_partition() -> None:
    for activation in ACTIVATIONS:
        logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
        log_partition(logits, activation).sum().backward()
        torch.testing.assert_close(logits.grad, probabilities(logits, activation).detach())


def test_logits_that_say_nothing_end_at_the_bound() -> None:
    posts = sampled(1.0, 2000)
    posts.logits.neg_()
    assert fit_temperature(posts).temperature == pytest.approx(HIGHEST)


def test_no_posts_is_an_error() -> None:
    nothing = torch.zeros(0).long()
    with pytest.raises(DataError, match="no held-out post"):
        fit_temperature(made(torch.zeros(0, 5), nothing, nothing, "softmax"))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_copy_of_all_logits_is_worked_on(
    activation: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(logits: torch.Tensor, kind: Activation) -> torch.Tensor:
        seen.append(len(logits))
        return probabilities(logits, kind)

    monkeypatch.setattr(calibration, "probabilities", watched)
    posts = ROWS + 76
    fit_temperature(made(torch.randn(posts, 5), torch.ones(posts), torch.ones(posts), activation))
    assert set(seen) == {ROWS, 76}
