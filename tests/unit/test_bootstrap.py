"""Bootstrap intervals against resampling done example by example, and against known widths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.evaluation.bootstrap import class_mean_interval, difference_interval, mean_interval


def test_a_proportion_has_the_width_that_theory_gives() -> None:
    scores = np.arange(1000) < 300
    interval = mean_interval(scores)
    half_width = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert interval.mean == pytest.approx(0.3)
    assert interval.low == pytest.approx(0.3 - half_width, abs=0.003)
    assert interval.high == pytest.approx(0.3 + half_width, abs=0.003)


def test_counts_of_values_resample_as_examples_do() -> None:
    scores = np.random.default_rng(1).choice(
        [0.0, 0.25, 0.5, 1.0], size=200, p=[0.4, 0.3, 0.2, 0.1]
    )
    drawn = scores[np.random.default_rng(2).integers(0, 200, (20_000, 200))].mean(axis=1)
    interval = mean_interval(scores, resamples=20_000)
    assert [interval.low, interval.high] == pytest.approx(
        np.percentile(drawn, [2.5, 97.5]), abs=4e-3
    )


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    random = np.random.default_rng(3)
    theirs = random.random(2000) < 0.5
    ours = theirs | (random.random(2000) < 0.02)
    paired = difference_interval(ours, theirs)
    apart = mean_interval(ours).high - mean_interval(ours).low
    assert paired.mean == pytest.approx(ours.mean() - theirs.mean())
    assert paired.excludes_zero
    assert paired.high - paired.low < apart / 2


def test_equal_scores_differ_by_nothing() -> None:
    scores = np.array([True, False, False])
    assert not difference_interval(scores, scores).excludes_zero
    assert not difference_interval(scores, scores[::-1]).excludes_zero


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 5))
def test_the_interval_holds_the_mean_and_repeats(scores: list[bool], seed: int) -> None:
    array = np.array(scores)
    interval = mean_interval(array, seed)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert interval == mean_interval(array, seed)


def test_classes_are_resampled_each_by_itself() -> None:
    labels = np.repeat([7, 0, 3], [10, 200, 60])
    correct = np.concatenate([np.arange(10) < 5, np.arange(200) < 180, np.arange(60) < 6])
    random = np.random.default_rng(2)
    drawn = np.mean(
        [
            correct[labels == label][random.integers(0, n, (20_000, n))].mean(axis=1)
            for label, n in ((7, 10), (0, 200), (3, 60))
        ],
        axis=0,
    )
    interval = class_mean_interval(correct, labels, resamples=20_000)
    assert interval.mean == pytest.approx((0.5 + 0.9 + 0.1) / 3)
    assert [interval.low, interval.high] == pytest.approx(
        np.percentile(drawn, [2.5, 97.5]), abs=6e-3
    )


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 5))
def test_one_class_is_all_images(correct: list[bool], seed: int) -> None:
    array = np.array(correct)
    interval = class_mean_interval(array, np.full(len(array), 4), seed)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert interval.mean == mean_interval(array).mean
