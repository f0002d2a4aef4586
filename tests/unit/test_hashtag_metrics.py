"""Hashtag metrics: one example by hand, every other against sets, post by post."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashnext.evaluation.hashtags import (
    concatenate,
    frequency_bands,
    hits,
    most_frequent_labels,
    score,
    top_labels,
)


def csr(rows: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return offsets, np.array([label for row in rows for label in row], dtype=np.int32)


def test_one_batch_by_hand() -> None:
    top = np.array([[4, 1, 0, 2, 3], [7, 6, 5, 4, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    offsets, labels = csr([[1, 4], [0, 1, 3, 4], [], [9]])
    bands = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    scores = score(top, offsets, labels, bands)
    assert len(scores) == 3, "the post without labels is left out"
    assert scores.precision_at_1.tolist() == [1, 0, 0]
    assert scores.precision_at_5.tolist() == [0.4, 0.4, 0]
    assert scores.recall_at_5.tolist() == [1, 0.5, 0]
    assert scores.accuracy_at_5.tolist() == [1, 1, 0]
    # Labels 0 to 2 are the head, 3 to 5 the middle, 6 to 9 the tail. First predictions: 4 (right),
    # 7 and 0 (wrong). Of the first five of the three posts, 6 lie in the head (1 right), 7 in the
    # middle (3 right), 2 in the tail (none).
    assert scores.means() == pytest.approx({
        "precision_at_1": 1 / 3, "precision_at_5": 0.8 / 3, "recall_at_5": 0.5,
        "accuracy_at_5": 2 / 3,
        "precision_at_1_head": 0, "precision_at_5_head": 1 / 6, "recall_at_5_head": 1 / 3,
        "accuracy_at_5_head": 1 / 2,
        "precision_at_1_middle": 1, "precision_at_5_middle": 3 / 7, "recall_at_5_middle": 1,
        "accuracy_at_5_middle": 1,
        "precision_at_1_tail": 0, "precision_at_5_tail": 0, "recall_at_5_tail": 0,
        "accuracy_at_5_tail": 0,
    })  # fmt: skip


def test_what_a_band_has_nothing_of_is_left_out() -> None:
    bands = np.array([0, 0, 0, 0, 0, 1, 2])
    offsets, labels = csr([[0, 6], [1]])
    means = score(np.arange(5), offsets, labels, bands).means()
    assert {name for name in means if name.endswith("middle")} == set()
    assert {name: value for name, value in means.items() if name.endswith("tail")} == {
        "recall_at_5_tail": 0, "accuracy_at_5_tail": 0,
    }  # fmt: skip
    assert means["precision_at_1_head"] == 0.5
    assert means["precision_at_5_head"] == 0.2
    assert means["recall_at_5_head"] == means["accuracy_at_5_head"] == 1


rows_of_labels = st.lists(st.lists(st.integers(0, 19), unique=True, max_size=8), min_size=1)


@given(rows_of_labels, st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_figures_equal_set_arithmetic(rows: list[list[int]], seed: int, num_labels: int) -> None:
    rows = [[label % num_labels for label in row] for row in rows]
    rows = [sorted(set(row)) for row in rows]
    generator = np.random.default_rng(seed)
    logits = generator.permuted(np.tile(np.arange(float(num_labels)), (len(rows), 1)), axis=1)
    top = top_labels(torch.from_numpy(logits))
    offsets, labels = csr(rows)
    scores = score(top, offsets, labels, generator.integers(0, 3, num_labels))
    expected = [(np.argsort(-z)[:5], set(row)) for z, row in zip(logits, rows, strict=True) if row]
    found = np.array([len(set(best.tolist()) & truth) for best, truth in expected])
    sizes = np.array([len(truth) for _, truth in expected])
    assert scores.precision_at_1.tolist() == [best[0] in truth for best, truth in expected]
    assert scores.precision_at_5.tolist() == (found / 5).tolist()
    assert scores.recall_at_5.tolist() == (found / sizes).tolist() if expected else True
    assert scores.accuracy_at_5.tolist() == (found > 0).tolist()
    assert scores.band_hits.sum(axis=1).tolist() == found.tolist()
    assert scores.band_labels.sum(axis=1).tolist() == sizes.tolist()
    assert scores.band_predictions.sum() == len(expected) * min(5, num_labels)


def test_batches_add_up_to_the_whole() -> None:
    generator = np.random.default_rng(0)
    rows = [
        sorted(generator.choice(30, generator.integers(0, 6), replace=False)) for _ in range(50)
    ]
    top = np.stack([generator.permutation(30)[:5] for _ in rows])
    bands = generator.integers(0, 3, 30)
    offsets, labels = csr(rows)
    whole = score(top, offsets, labels, bands)
    # A slice of the offsets still points into all the labels.
    first = score(top[:20], offsets[:21], labels, bands)
    second = score(top[20:], offsets[20:], labels, bands)
    joined = concatenate([first, second])
    assert len(joined) == len(whole)
    assert joined.means() == pytest.approx(whole.means())


def test_the_baseline_predicts_the_commonest_labels_on_every_post() -> None:
    posts = np.array([5, 90, 5, 40, 1, 70])
    baseline = most_frequent_labels(posts)
    assert baseline.tolist() == [1, 5, 3, 0, 2]
    offsets, labels = csr([[1, 4], [0, 3], [4]])
    assert hits(baseline, offsets, labels).sum(axis=1).tolist() == [1, 2, 0]
    assert score(baseline, offsets, labels, frequency_bands(posts)).precision_at_1.mean() == 1 / 3


def test_bands_are_cut_at_a_third_and_two_thirds_of_the_assignments() -> None:
    posts = np.array([10, 40, 10, 10, 20, 30])
    # Sorted: 40 (label 1), 30 (5), 20 (4), then three of 10. Reached before each: 0, 40, 70, 90...
    assert frequency_bands(posts).tolist() == [2, 0, 2, 2, 1, 1]
    assert frequency_bands(np.array([3, 3, 3])).tolist() == [0, 1, 2]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50))
def test_a_commoner_label_is_never_in_a_rarer_band(posts: list[int]) -> None:
    counts = np.array(posts)
    bands = frequency_bands(counts)
    order = np.argsort(-counts, kind="stable")
    assert bands[order].tolist() == sorted(bands.tolist())
    assert bands[order[0]] == 0
