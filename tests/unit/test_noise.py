"""Label noise: as many replaced as asked, from the marginal, and every post keeps a label."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.shards.index import LabelIndex
from hashnext.shards.noise import with_noise


def make_index(posts: int, labels: int, seed: int = 0) -> LabelIndex:
    """Label 0 on a third of the posts alone, others with up to three of the rest."""
    rng = np.random.default_rng(seed)
    own = [
        [0] if rng.random() < 1 / 3 else sorted(rng.permutation(labels)[: rng.integers(1, 4)])
        for _ in range(posts)
    ]
    return LabelIndex(
        row_groups=np.zeros(posts, np.int64), rows=np.arange(posts),
        keys=rng.integers(0, 2**63, posts).astype(np.uint64),
        offsets=np.concatenate([[0], np.cumsum([len(each) for each in own])]),
        labels=np.concatenate(own).astype(np.int32), unlabelled=0,
    )  # fmt: skip


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(3, 9), st.floats(0, 1), st.integers(0, 99))
def test_the_index_stays_well_formed(posts: int, labels: int, share: float, seed: int) -> None:
    index = make_index(posts, labels, seed)
    noisy = with_noise(index, share, seed)
    assert noisy.offsets[0] == 0
    assert noisy.offsets[-1] == len(noisy.labels)
    assert (np.diff(noisy.offsets) >= 1).all()
    assert set(noisy.labels.tolist()) <= set(index.labels.tolist())
    for post in range(posts):
        own = noisy.labels[noisy.offsets[post] : noisy.offsets[post + 1]].tolist()
        assert len(own) == len(set(own))
    if share == 0:
        assert noisy is index


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_as_many_are_replaced_as_asked_and_by_the_marginal(share: float) -> None:
    index = make_index(30_000, 9)
    single = np.flatnonzero(np.diff(index.offsets) == 1)
    noisy = with_noise(index, share, seed=3)
    before, after = (i.labels[i.offsets[:-1][single]] for i in (index, noisy))
    assert (before != after).mean() == pytest.approx(share, abs=0.01)
    marginal = np.bincount(index.labels)[1:] / (index.labels != 0).sum()
    changed = after[(before == 0) & (before != after)]
    drawn = np.bincount(changed, minlength=9)[1:] / len(changed)
    assert drawn == pytest.approx(marginal, abs=4 / np.sqrt(len(changed)))


def test_a_label_that_is_the_only_one_stays() -> None:
    index = make_index(20, 3)
    alone = replace(index, labels=np.zeros(20, np.int32), offsets=np.arange(21))
    assert (with_noise(alone, 1.0, seed=0).labels == 0).all()


def test_the_draws_belong_to_the_seed() -> None:
    index = make_index(500, 9)
    first, again, other = (with_noise(index, 0.5, seed) for seed in (1, 1, 2))
    assert (first.labels == again.labels).all()
    assert len(other.labels) != len(first.labels) or (other.labels != first.labels).any()
