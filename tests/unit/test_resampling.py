"""Repeat factors: hand-computed points, the default threshold, unbiased rounding."""

import numpy as np
import pytest

from hashnext.errors import ConfigError
from hashnext.shards.draws import uniforms
from hashnext.shards.resampling import (
    ResamplingConfig,
    default_threshold,
    resample,
    stochastic_round,
)

FREQUENCIES = np.array([0.5, 0.1, 0.01, 0.001])


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0.0, [1, 1, 1, 1]), (0.5, [1, 1, 10**0.5, 10]), (1.0, [1, 1, 10, 100])]
)
def test_factors_are_those_of_the_formula(alpha: float, expected: list[float]) -> None:
    config = ResamplingConfig(alpha=alpha, threshold=0.1, max_repeats=1000)
    assert resample(config, FREQUENCIES, FREQUENCIES).factors == pytest.approx(expected)


def test_a_cap_that_binds_is_counted() -> None:
    config = ResamplingConfig(alpha=1.0, threshold=0.1, max_repeats=20)
    found = resample(config, FREQUENCIES, FREQUENCIES)
    assert found.posts_capped == 1
    assert found.factors.max() == 20
    assert found.labels_raised == 0.5


def test_what_resampling_cannot_do_is_said_before_a_run() -> None:
    capped = ResamplingConfig(alpha=1.0, threshold=0.1)
    assert resample(capped, FREQUENCIES, FREQUENCIES).warnings(capped) == [
        "1 posts are capped at --resampling.max-repeats 20"
    ]
    weak = ResamplingConfig(alpha=0.5, threshold=0.0005)
    (said,) = resample(weak, FREQUENCIES, FREQUENCIES).warnings(weak)
    assert "raises only 0.0% of the labels" in said
    natural = ResamplingConfig(alpha=0.0)
    assert resample(natural, FREQUENCIES, FREQUENCIES).warnings(natural) == []


@pytest.mark.parametrize(("raised", "warned"), [(0, True), (4, True), (5, False), (6, False)])
def test_fewer_than_five_percent_of_the_labels_are_a_warning(raised: int, warned: bool) -> None:
    config = ResamplingConfig(alpha=0.5, threshold=0.01)
    of_a_hundred = np.where(np.arange(100) < raised, 0.009, 0.01)
    unused = np.zeros(50)
    found = resample(config, np.concatenate([of_a_hundred, unused]), of_a_hundred)
    assert found.labels_raised == raised / 100
    said = [f"resampling raises only {raised}.0% of the labels"] if warned else []
    assert [text.split(";")[0] for text in found.warnings(config)] == said


def test_default_threshold_doubles_the_epoch_at_full_strength() -> None:
    rarest = np.random.default_rng(0).pareto(1.0, 5000) * 1e-3 + 1e-4
    threshold = default_threshold(rarest, max_repeats=20)
    full = resample(ResamplingConfig(alpha=1.0, threshold=threshold), FREQUENCIES, rarest)
    assert full.expected_epoch / len(rarest) == pytest.approx(2.0, abs=1e-6)
    same = resample(ResamplingConfig(alpha=0.25), FREQUENCIES, rarest)
    assert same.threshold == threshold, "one threshold for every strength"


def test_rounding_is_unbiased() -> None:
    factors = np.full(200_000, 2.3)
    counts = stochastic_round(factors, uniforms(0, 0, np.arange(200_000)))
    assert set(counts.tolist()) == {2, 3}
    assert counts.mean() == pytest.approx(2.3, abs=5 * (0.21 / 200_000) ** 0.5)


@pytest.mark.parametrize("setting", [{"alpha": 1.5}, {"threshold": 0.0}, {"max_repeats": 0.5}])
def test_bad_settings_name_key_and_value(setting: dict[str, float]) -> None:
    ((key, value),) = setting.items()
    with pytest.raises(ConfigError, match=rf"resampling\.{key} = {value}"):
        ResamplingConfig(**setting)
