"""Thresholds: the bound by the book, the choice by brute force, the check on the other half."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hashnext.errors import ConfigError
from hashnext.evaluation.thresholds import (
    CalibrationConfig,
    Candidates,
    calibrated_thresholds,
    candidates,
    choose,
    wilson_lower_bound,
)
from tests.predictions import predictions, sampled


def found(rows: list[tuple[int, float, bool]]) -> Candidates:
    labels, probabilities, right = zip(*rows, strict=True)
    return Candidates(
        np.array(labels), np.array(probabilities, np.float32), np.array(right), np.arange(len(rows))
    )


def test_the_bound_has_the_values_of_the_book() -> None:
    bound = wilson_lower_bound(np.array([8, 0, 10, 11]), np.array([10, 5, 10, 11]))
    assert bound[:3] == pytest.approx([0.5412, 0.0, 0.7871], abs=5e-4)
    assert bound[2] < 0.8 <= bound[3], "eleven in a row, no fewer"
    assert wilson_lower_bound(np.array([8]), np.array([10]), z=1.96)[0] == pytest.approx(
        0.4902, abs=1e-4
    )


def test_too_little_evidence_gives_no_threshold() -> None:
    rows = [(0, 0.9, True)] * 10 + [(1, 0.8, True)] * 11 + [(2, 0.9, False)] * 50
    assert choose(found(rows), 4, 0.8).tolist() == [np.inf, np.float32(0.8), np.inf, np.inf]


def test_the_threshold_is_where_the_wrong_ones_begin() -> None:
    sure = [(0, 0.5 + n / 100, True) for n in range(20)]
    wrong = [(0, 0.4 - n / 100, False) for n in range(20)]
    chosen = choose(found(wrong + sure), 1, 0.8)[0]
    assert chosen == pytest.approx(0.4), "20 of 21 leave the bound above 0.8, 20 of 22 do not"


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 6), st.booleans()), min_size=1, max_size=80
    ),
    st.sampled_from([0.3, 0.6, 0.8]),
)
def test_no_lower_threshold_would_do(rows: list[tuple[int, int, bool]], precision: float) -> None:
    scaled = [(label, level / 8, right) for label, level, right in rows]
    chosen = choose(found(scaled), 3, precision)
    for label in range(3):
        allowed = []
        for level in range(7):
            above = [right for which, p, right in scaled if which == label and p >= level / 8]
            present = any(which == label and p == level / 8 for which, p, _ in scaled)
            if (
                present
                and wilson_lower_bound(*(np.array([n]) for n in (sum(above), len(above))))[0]
                >= precision
            ):
                allowed.append(level / 8)
        assert chosen[label] == min(allowed, default=np.inf)


def test_the_other_half_checks() -> None:
    posts = sampled(4_000, 8)
    half = posts.first_half()
    assert half.mean() == 0.5
    chosen = calibrated_thresholds(posts, half, 1.0, CalibrationConfig(precision=0.7))
    assert chosen.labels == 8
    assert chosen.posts == 2_000
    assert chosen.found is not None
    assert chosen.found.high > 0.7
    assert 0 < chosen.answered_posts <= chosen.answers
    tops = candidates(posts.where(~half), 1.0)
    above = tops.probabilities >= np.array(chosen.values)[tops.labels]
    assert chosen.found.mean == pytest.approx(tops.right[above].mean())
    stricter = calibrated_thresholds(posts, half, 1.0, CalibrationConfig(precision=0.9))
    assert all(
        b is None or (a is not None and a <= b)
        for a, b in zip(chosen.values, stricter.values, strict=True)
    )


def test_contradicting_halves_are_found_out() -> None:
    rows = [[0], [1]] * 100  # whoever chooses always sees label 0, whoever checks never
    posts = predictions(rows, torch.tensor([[5.0, 0.0]]).repeat(200, 1))
    chosen = calibrated_thresholds(posts, posts.first_half(), 1.0, CalibrationConfig())
    assert chosen.values[0] is not None
    assert chosen.found is not None
    assert chosen.found.mean == 0


def test_no_posts_on_a_side() -> None:
    posts = sampled(30, 4)
    for half in (np.ones(30, bool), np.zeros(30, bool)):
        chosen = calibrated_thresholds(posts, half, 1.0, CalibrationConfig())
        assert chosen.found is None or half.sum() == 0
        assert chosen.answers == 0


@pytest.mark.parametrize("precision", [0.0, 1.0, -0.1])
def test_an_impossible_precision_is_refused(precision: float) -> None:
    with pytest.raises(ConfigError, match=r"calibration\.precision"):
        CalibrationConfig(precision=precision)
