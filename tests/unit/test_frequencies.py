"""What resampling promises, measured on the order itself: how often each label is shown."""

import numpy as np
import pytest

from hashnext.shards.order import Order
from hashnext.shards.resampling import Resampling, ResamplingConfig, resample

POSTS, LABELS, EPOCHS = 4_000, 60, 6
DEVIATIONS = 5
"""Standard deviations allowed; over 60 labels chance exceeds them once in 30,000 runs."""


@pytest.fixture(scope="module")
def carries() -> np.ndarray:
    """Which post carries which label, bool (posts, labels): one to three labels by Zipf's law."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, LABELS + 1)
    found = np.zeros((POSTS, LABELS), dtype=bool)
    for post in range(POSTS):
        drawn = rng.choice(LABELS, rng.integers(1, 4), replace=False, p=shares / shares.sum())
        found[post, drawn] = True
    return found


def resampled(carries: np.ndarray, config: ResamplingConfig) -> Resampling:
    frequencies = carries.mean(axis=0)
    rarest = np.where(carries, frequencies, 1.0).min(axis=1)
    return resample(config, frequencies, rarest)


def make_order(factors: np.ndarray) -> Order:
    return Order(
        keys=np.random.default_rng(1).integers(0, 2**63, POSTS).astype(np.uint64),
        row_groups=np.arange(POSTS) // 64, factors=factors, seed=0, streams=16, lanes=4,
    )  # fmt: skip


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_labels_are_shown_as_often_as_expected(carries: np.ndarray, alpha: float) -> None:
    found = resampled(carries, ResamplingConfig(alpha=alpha))
    order, shown, samples = make_order(found.factors), np.zeros(POSTS), 0
    for number in range(EPOCHS):
        posts = order.epoch(number).posts
        shown += np.bincount(posts, minlength=POSTS)
        samples += len(posts)
    fraction = found.factors % 1
    variance = EPOCHS * fraction * (1 - fraction)  # of stochastic rounding, post by post
    expected, allowed = EPOCHS * found.factors @ carries, DEVIATIONS * np.sqrt(variance @ carries)
    assert (np.abs(shown @ carries - expected) <= allowed + 1e-6).all()
    assert abs(samples - EPOCHS * found.expected_epoch) <= DEVIATIONS * variance.sum() ** 0.5 + 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_any_part_of_an_epoch_shows_them_so(carries: np.ndarray, alpha: float) -> None:
    found = resampled(carries, ResamplingConfig(alpha=alpha))
    order = make_order(found.factors)
    expected = found.factors @ carries / found.factors.sum()
    for start in range(0, 4_000, 1_000):
        measured = carries[order.take(start, start + 1_000).posts].mean(axis=0)
        allowed = DEVIATIONS * np.sqrt(expected * (1 - expected) / 1_000)
        assert (np.abs(measured - expected) <= allowed).all()


def test_stronger_resampling_evens_labels_out(carries: np.ndarray) -> None:
    ratios = []
    for alpha in (0.0, 0.5, 1.0):
        factors = resampled(carries, ResamplingConfig(alpha=alpha)).factors
        counts = carries[make_order(factors).epoch(0).posts].sum(axis=0)
        ratios.append(counts.max() / counts.min())
    assert ratios[0] > 1.5 * ratios[1] > 1.5 * ratios[2]


def test_strength_and_threshold_act_continuously(carries: np.ndarray) -> None:
    def epoch(alpha: float, threshold: float) -> float:
        config = ResamplingConfig(alpha=alpha, threshold=threshold)
        return resampled(carries, config).expected_epoch

    for alpha in np.linspace(0, 0.99, 12):
        step = epoch(alpha + 0.01, 0.05) - epoch(alpha, 0.05)
        assert 0 <= step < POSTS * 0.05
    for threshold in np.linspace(0.01, 0.09, 12):
        step = epoch(1.0, threshold * 1.01) - epoch(1.0, threshold)
        assert 0 <= step < POSTS * 0.05
    assert epoch(0.0, 0.05) == POSTS


def test_a_cap_that_binds_is_counted_and_holds(carries: np.ndarray) -> None:
    free = resampled(carries, ResamplingConfig(alpha=1.0, threshold=0.5, max_repeats=1000))
    capped = resampled(carries, ResamplingConfig(alpha=1.0, threshold=0.5))
    assert free.posts_capped == 0
    assert capped.factors.max() == ResamplingConfig().max_repeats == 20
    assert capped.posts_capped == (free.factors > 20).sum() > 0
    repeats = np.bincount(make_order(capped.factors).epoch(0).posts)
    assert repeats.max() == 20
