"""The total order of a run: complete, spread, and the same for every number of workers."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.shards.order import Order

ROWS_PER_GROUP = 8


def make_order(posts: int, seed: int = 0, factor: float = 1.0, streams: int = 4) -> Order:
    keys = np.random.default_rng(1).integers(0, 2**63, posts).astype(np.uint64)
    factors = np.ones(posts)
    factors[::5] = factor
    return Order(
        keys=keys, row_groups=np.arange(posts) // ROWS_PER_GROUP, factors=factors, seed=seed,
        streams=streams,
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(0, 5), st.floats(1, 6))
def test_an_epoch_holds_every_repeat_of_every_post_once(
    posts: int, seed: int, factor: float
) -> None:
    ids, repeats, pieces = make_order(posts, seed, factor).epoch(0)
    seen = Counter(zip(ids.tolist(), repeats.tolist(), strict=True))
    counts = Counter(ids.tolist())
    assert set(seen.values()) == {1}
    assert set(counts) == set(range(posts))
    assert all(seen[post, n] for post, total in counts.items() for n in range(total))
    assert all(np.floor(factor) <= counts[post] <= np.ceil(factor) for post in range(0, posts, 5))
    assert (np.diff(pieces) >= 0).all()


def test_the_order_does_not_depend_on_how_it_is_read() -> None:
    whole = make_order(100, factor=3.5).take(0, 700)
    parts = make_order(100, factor=3.5)
    for start in range(0, 700, 70):
        part = parts.take(start, start + 70)
        assert (part.posts == whole.posts[start : start + 70]).all()
        assert (part.epochs == whole.epochs[start : start + 70]).all()
    resumed = make_order(100, factor=3.5).take(350, 700)
    assert (resumed.posts == whole.posts[350:]).all()


def test_no_sample_comes_twice_in_a_run() -> None:
    samples = make_order(100, factor=2.5).take(0, 1000)
    seen = Counter(
        zip(samples.epochs.tolist(), samples.posts.tolist(), samples.repeats.tolist(), strict=True)
    )
    assert max(seen.values()) == 1


def test_workers_share_a_batch_without_overlap() -> None:
    samples = make_order(100).take(0, 64)
    shares = [samples.where(samples.streams % 3 == rank) for rank in range(3)]
    assert sum(len(share) for share in shares) == 64
    together = np.sort(np.concatenate([share.posts for share in shares]))
    assert (together == np.sort(samples.posts)).all()


def test_repeats_of_a_post_are_spread_over_the_epoch() -> None:
    order = make_order(400, factor=4.0)
    posts, _, _ = order.epoch(0)
    for post in range(0, 400, 5):
        places = np.flatnonzero(posts == post)
        assert len(places) == 4
        assert np.diff(places).min() > len(posts) / 4 / 2 - ROWS_PER_GROUP * 4


def test_seeds_and_epochs_differ() -> None:
    order = make_order(100)
    first, second = order.epoch(0)[0], order.epoch(1)[0]
    assert (first != second).any()
    assert (first != make_order(100, seed=1).epoch(0)[0]).any()


def test_a_batch_draws_from_as_many_row_groups_as_there_are_streams() -> None:
    order = make_order(512, streams=16)
    for start in range(0, 512, 64):
        posts = order.take(start, start + 64).posts
        assert len(set((posts // ROWS_PER_GROUP).tolist())) >= 15
