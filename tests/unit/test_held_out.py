"""The report on held-out posts: reliability, and what goes into the package and the picture."""

import io
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from threading import Barrier
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashnext.errors import ConfigError
from hashnext.evaluation import held_out_plot
from hashnext.evaluation.held_out import PIECE, HeldOutReport, collected, report
from hashnext.evaluation.hierarchy import LabelNames
from hashnext.evaluation.predictions import Predictions, joined, sample
from hashnext.evaluation.reliability import cross_fitted, reliability
from hashnext.evaluation.thresholds import CalibrationConfig
from hashnext.posts.identity import held_out, post_keys
from hashnext.training.local import LocalSurroundings
from hashnext.training.loss import softmax_loss
from tests.predictions import predictions, sampled

WNIDS = ["n02084071", "n02088364", "n02121620", "n07873807", None, "n09246464"]
NAMES = LabelNames(WNIDS, np.array([1, 5, 2, 3, 9, 4], np.float32))


def reported(parts: list[Predictions]) -> HeldOutReport | None:
    return report(parts, [50, 10, 20, 90, 100, 5], NAMES, CalibrationConfig(precision=0.6))


@pytest.fixture(scope="module")
def overconfident() -> HeldOutReport:
    found = reported([sampled(3_000, 6, sharpness=3.0)])
    assert found is not None
    return found


def test_bins_by_hand() -> None:
    logits = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.55, 0.45]]).log()
    found = reliability(predictions([[0], [1], [0, 1], [1]], logits), np.ones(4))
    assert found.posts == [1, 1, 2]
    assert found.confidence == pytest.approx([0.55, 0.8, 0.9])
    assert found.target == [0, 0.5, 0.5]
    assert found.right == [0, 1, 0.5]
    assert found.error == pytest.approx((0.55 + 0.3 + 2 * 0.4) / 4)


def test_a_temperature_sharpens_the_confidence_and_keeps_what_is_right() -> None:
    posts = sampled(500, 6, most=3)
    cold, hot = (reliability(posts, np.full(500, t)) for t in (0.5, 2.0))
    means = [np.dot(each.posts, each.confidence) for each in (cold, hot)]
    assert means[0] > means[1]
    for name in ("target", "right"):
        sums = [np.dot(each.posts, getattr(each, name)) for each in (cold, hot)]
        assert sums[0] == pytest.approx(sums[1])


def test_calibration_repairs_overconfidence(overconfident: HeldOutReport) -> None:
    assert overconfident.temperature == pytest.approx(3, rel=0.15)
    assert overconfident.before.error > 0.15
    assert overconfident.after.error < 0.05
    assert overconfident.metrics()["calibration_error"] == overconfident.after.error


def test_each_half_gets_the_temperature_of_the_other() -> None:
    posts = sampled(2_000, 6)
    half = posts.first_half()
    posts.logits[torch.from_numpy(half)] *= 4
    found = cross_fitted(posts, half, 4.1)
    assert found[half] == pytest.approx(1, abs=0.2)
    assert (found[~half] == 4.1).all()
    for alone in (np.ones(2_000, bool), np.zeros(2_000, bool)):
        assert (cross_fitted(posts, alone, 4.1) == 4.1).all()


def test_sigmoids_promise_that_the_first_prediction_is_right_at_all() -> None:
    posts = replace(predictions([[0, 1], [0], [1]], torch.eye(6)[:3]), activation="sigmoid")
    found = reliability(posts, np.full(3, 0.5))
    assert found.confidence == pytest.approx([1 / (1 + math.exp(-2))])
    assert found.target == found.right == pytest.approx([1 / 3])
    report = reported([posts])
    assert report is not None
    assert report.calibration_document()["activation"] == "sigmoid"
    assert posts.where(np.array([True, False, True])).activation == "sigmoid"


def test_workers_predictions_are_reported_together(overconfident: HeldOutReport) -> None:
    whole = sampled(3_000, 6, sharpness=3.0)
    first = np.arange(3_000) < 1_700
    parts = [whole.where(first), whole.where(~first)]
    assert joined(parts).labels.tolist() == whole.labels.tolist()
    again = reported(parts)
    assert again is not None
    assert again.figures() == overconfident.figures()
    assert reported([whole.where(np.zeros(3_000, bool))]) is None


@dataclass
class Rank(LocalSurroundings):
    """One of two workers; what goes round is noted."""

    shared: dict[int, Any] = field(default_factory=dict)
    barrier: Barrier = field(default_factory=lambda: Barrier(2))
    most: int = 0

    def gather(self, value: Any) -> list[Any]:
        self.shared[self.rank] = value
        self.barrier.wait(10)
        found = [self.shared[rank] for rank in range(self.world)]
        self.barrier.wait(10)
        if isinstance(value, Predictions):
            self.most = max(self.most, sum(map(len, found)))
        return found


def test_only_the_first_of_two_workers_ever_holds_all_predictions(
    overconfident: HeldOutReport, tmp_path: Path
) -> None:
    whole = sampled(3_000, 6, sharpness=3.0)
    first = np.arange(3_000) < 1_700
    parts = [whole.where(first), whole.where(~first)]
    zero = Rank(tmp_path, rank=0, world=2)
    one = replace(zero, rank=1)
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(collected, parts, (zero, one))
    assert theirs == []
    assert zero.most == one.most == 2 * PIECE
    assert joined(ours).keys.tolist() == whole.keys.tolist()
    again = reported(ours)
    assert again is not None
    assert again.figures() == overconfident.figures()
    assert reported(theirs) is None


@given(st.lists(st.integers(0, 2**64 - 1), unique=True), st.integers(1, 30), st.randoms())
def test_the_sample_is_the_same_however_posts_lie(
    keys: list[int], limit: int, random: Random
) -> None:
    shuffled = random.sample(keys, len(keys))
    arrays = [np.array(each, np.uint64) for each in (keys, shuffled)]
    chosen = [set(each[sample(each, limit)].tolist()) for each in arrays]
    assert chosen[0] == chosen[1] == set(sorted(keys)[:limit])


def test_the_sample_leans_to_neither_half() -> None:
    keys = post_keys(pa.array([str(number) for number in range(60_000)]))
    held = keys[held_out(keys)]
    chosen = held[sample(held, 1_000)]
    assert len(chosen) == 1_000
    posts = replace(sampled(1_000, 3), keys=chosen)
    assert 0.45 < posts.first_half().mean() < 0.55


def test_the_half_that_checks_does_not_fit_the_temperature() -> None:
    posts = sampled(2_000, 6)
    posts.logits[torch.from_numpy(~posts.first_half())] *= 4
    found = reported([posts])
    assert found is not None
    assert found.temperature == pytest.approx(1, abs=0.2)
    assert found.calibration.num_posts == 1_000
    assert found.posts == found.figures()["posts"] == 2_000
    assert found.metrics()["held_out_loss"] == pytest.approx(
        float(softmax_loss(posts.logits, posts.targets.offsets, posts.targets.labels).mean())
    )


def test_a_sample_of_no_posts_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"calibration\.posts = 0"):
        CalibrationConfig(posts=0)


def test_figures_and_calibration_are_json(overconfident: HeldOutReport) -> None:
    figures = json.loads(json.dumps(overconfident.figures()))
    assert figures["posts"] == 3_000
    assert figures["hierarchy"]["nameless_labels"] == 1
    assert figures["baseline_precision_at_1"] == figures["baseline"]["precision_at_1"]
    assert figures["thresholds"]["precision_stated"] == 0.6
    document = json.loads(json.dumps(overconfident.calibration_document()))
    assert len(document["thresholds"]) == 6
    assert document["checked"]["labels_with_threshold"] == sum(
        value is not None for value in document["thresholds"]
    )
    assert sum(document["reliability"]["after"]["posts"]) == 3_000


def test_a_single_post_is_enough() -> None:
    found = reported([predictions([[0]], torch.eye(6)[:1])])
    assert found is not None
    assert found.thresholds.labels == 0
    assert held_out_plot.plot(found).startswith(b"\x89PNG")


def test_the_picture_has_a_panel_for_each_part(overconfident: HeldOutReport) -> None:
    picture = Image.open(io.BytesIO(held_out_plot.plot(overconfident)))
    assert picture.width > 3 * picture.height * 0.9
