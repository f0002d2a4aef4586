"""The fitted temperature: a known one is found again, and it is where the loss is lowest."""

import pytest
import torch

from hashnext.errors import DataError
from hashnext.evaluation.calibration import HIGHEST, fit_temperature
from hashnext.training.loss import softmax_loss


def sampled(temperature: float, posts: int = 6_000) -> tuple[torch.Tensor, ...]:
    """Logits whose softmax at `temperature` is the truth, and one label a post drawn from it."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(posts, 12, generator=generator)
    labels = torch.multinomial(torch.softmax(logits / temperature, 1), 1, generator=generator)
    return logits, torch.arange(posts + 1), labels.flatten()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    assert fit_temperature(*sampled(temperature)).temperature == pytest.approx(
        temperature, rel=0.06
    )


def test_neighbouring_temperatures_lose_more() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(300, 9, generator=generator)
    offsets = torch.arange(0, 601, 2)  # two labels a post
    labels = torch.stack([torch.randperm(9, generator=generator)[:2] for _ in range(300)]).flatten()
    logits[torch.arange(300).repeat_interleave(2), labels] += 2
    fit = fit_temperature(logits, offsets, labels)

    def loss(temperature: float) -> float:
        return float(softmax_loss(logits / temperature, offsets, labels).mean())

    assert fit.loss_after == pytest.approx(loss(fit.temperature))
    assert fit.loss_before == pytest.approx(loss(1.0))
    assert fit.loss_after < min(loss(fit.temperature * 1.05), loss(fit.temperature / 1.05))


def test_logits_that_say_nothing_end_at_the_bound() -> None:
    logits, offsets, labels = sampled(1.0, 2000)
    assert fit_temperature(-logits, offsets, labels).temperature == pytest.approx(HIGHEST)


def test_no_posts_is_an_error() -> None:
    with pytest.raises(DataError, match="no held-out post"):
        fit_temperature(torch.zeros(0, 5), torch.zeros(1, dtype=torch.int64), torch.zeros(0).long())
