"""Learning rates at hand-computed points of the paper's schedule."""

from dataclasses import replace

import pytest

from hashnext.errors import ConfigError
from hashnext.training.schedule import ScheduleConfig, learning_rate

PAPER = ScheduleConfig(images=1_008_000, warmup_images=80_640, halvings=10)
BATCH = 8_064


def test_peak_follows_the_linear_scaling_rule() -> None:
    assert learning_rate(PAPER, BATCH, 80_640) == pytest.approx(3.15)


def test_warm_up_rises_from_the_reference_rate() -> None:
    rates = [learning_rate(PAPER, BATCH, step * BATCH) for step in range(11)]
    assert rates[:4] == pytest.approx([0.1, 0.405, 0.71, 1.015])  # by (3.15 - 0.1) / 10 a step
    assert rates[9:] == pytest.approx([2.845, 3.15])


def test_halvings_come_at_equal_intervals() -> None:
    part = (1_008_000 - 80_640) / 11
    for halving in range(11):
        middle = int(80_640 + (halving + 0.5) * part)
        assert learning_rate(PAPER, BATCH, middle) == pytest.approx(3.15 * 0.5**halving)
    assert learning_rate(PAPER, BATCH, 1_008_000) == pytest.approx(3.15 * 0.5**10)


def test_a_small_batch_warms_up_from_zero() -> None:
    small = ScheduleConfig(images=1000, warmup_images=100, halvings=0)
    assert learning_rate(small, 64, 0) == pytest.approx(0.025 * 64 / 164)
    assert learning_rate(small, 64, 64) == pytest.approx(0.025 * 128 / 164)
    assert learning_rate(small, 64, 128) == pytest.approx(0.025)


def test_a_cosine_falls_from_the_peak_to_zero() -> None:
    cosine = replace(PAPER, decay="cosine")
    assert learning_rate(cosine, BATCH, 8_064) == learning_rate(PAPER, BATCH, 8_064)
    rest = 1_008_000 - 80_640
    for share, factor in ((0, 1), (1 / 3, 0.75), (1 / 2, 0.5), (2 / 3, 0.25), (1, 0)):
        rate = learning_rate(cosine, BATCH, 80_640 + round(share * rest))
        assert rate == pytest.approx(3.15 * factor, abs=1e-4)


def test_bad_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.images = 0"):
        ScheduleConfig(images=0, warmup_images=0)
    with pytest.raises(ConfigError, match=r"schedule\.warmup-images = 10"):
        ScheduleConfig(images=10, warmup_images=10)
