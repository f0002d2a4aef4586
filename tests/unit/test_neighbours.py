"""Nearest neighbours against votes counted one by one, and the choice of k."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hashnext.evaluation.neighbours import NEIGHBOURS, TEMPERATURE, class_scores, select_k


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_votes_equal_those_counted_one_by_one(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    bank, queries = random.normal(size=(12, 4)), random.normal(size=(3, 4))
    targets = np.append(random.integers(0, 4, 8), range(4))
    found = class_scores(
        torch.from_numpy(bank).float(), torch.from_numpy(targets), 4,
        torch.from_numpy(queries).float(), k,
    ).numpy()  # fmt: skip
    for query, scores in zip(queries, found, strict=True):
        cosine = bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
        nearest = np.argsort(-cosine)[:k]
        votes = np.zeros(4)
        for row in nearest:
            votes[targets[row]] += np.exp((cosine[row] - 1) / TEMPERATURE)
        voted = votes > 0
        assert scores[voted] == pytest.approx(votes[voted], rel=1e-3)
        closest = np.array([cosine[targets == label].max() for label in range(4)])
        assert scores[~voted] == pytest.approx(closest[~voted] - 2, abs=1e-4)


def test_k_is_the_best_on_the_slice_and_ties_go_to_the_smaller() -> None:
    angles = torch.tensor([0.0, 0.3, 0.31, 0.32, 0.33, 0.34, 1.5, 1.6])
    targets = torch.tensor([1, 0, 0, 0, 0, 0, 1, 1])
    features = torch.stack([angles.cos(), angles.sin()], 1)
    query = torch.tensor([0.12])  # the very nearest image is a stray
    everything = torch.cat([features, torch.stack([query.cos(), query.sin()], 1)])
    selection = torch.tensor([False] * 8 + [True])
    assert select_k(everything, torch.cat([targets, torch.tensor([0])]), 2, selection) == (5, 1.0)
    assert select_k(everything, torch.cat([targets, torch.tensor([1])]), 2, selection) == (1, 1.0)


def test_no_more_neighbours_are_asked_for_than_there_are() -> None:
    features = torch.eye(4).repeat(2, 1)
    k, top1 = select_k(features, torch.arange(4).repeat(2), 4, torch.arange(8) >= 4)
    assert (k, top1) == (1, 1.0)
    assert max(NEIGHBOURS) > 4
