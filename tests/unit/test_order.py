"""The total order of a run: complete, mixed, spread, and the same for every number of workers."""

from collections import Counter

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hashnext.shards.order import KEPT, Epoch, Order, span

ROWS_PER_GROUP = 8


def make_order(
    posts: int, seed: int = 0, factor: float = 1.0, streams: int = 4, lanes: int = 2,
    rows: int = ROWS_PER_GROUP,
) -> Order:  # fmt: skip
    """Every fifth post has the factor `factor`, the others 1."""
    keys = np.random.default_rng(1).integers(0, 2**63, posts).astype(np.uint64)
    factors = np.ones(posts)
    factors[::5] = factor
    return Order(
        keys=keys, row_groups=np.arange(posts) // rows, factors=factors, seed=seed,
        streams=streams, lanes=lanes,
    )  # fmt: skip


CORPORA = st.builds(
    make_order,
    posts=st.integers(1, 600), seed=st.integers(0, 1000), factor=st.floats(1, 7),
    streams=st.integers(1, 20), lanes=st.integers(1, 6), rows=st.integers(1, 40),
)  # fmt: skip


@settings(max_examples=60)
@given(CORPORA)
def test_an_epoch_holds_every_repeat_of_every_post_once(order: Order) -> None:
    epoch = order.epoch(0)
    seen = Counter(zip(epoch.posts.tolist(), epoch.repeats.tolist(), strict=True))
    counts = Counter(epoch.posts.tolist())
    assert set(seen.values()) == {1}
    assert set(counts) == set(range(len(order.keys)))
    assert all(seen[post, n] for post, total in counts.items() for n in range(total))
    for post, total in counts.items():
        assert np.floor(order.factors[post]) <= total <= np.ceil(order.factors[post])
    assert (np.diff(epoch.passes) >= 0).all()


@settings(max_examples=60)
@given(CORPORA, st.integers(1, 300))
def test_no_post_comes_twice_in_a_batch_where_every_pass_is_as_long(
    order: Order, batch: int
) -> None:
    epoch = order.epoch(0)
    assume(shortest_pass(epoch) >= batch - 1)
    for start in range(len(epoch.posts)):  # any stretch as long as a batch, not only its own ones
        posts = epoch.posts[start : start + batch]
        assert len(np.unique(posts)) == len(posts)


@settings(max_examples=60)
@given(CORPORA)
def test_repeats_lie_a_whole_pass_apart_however_short_the_epoch(order: Order) -> None:
    epoch = order.epoch(0)
    for post in np.flatnonzero(np.bincount(epoch.posts) > 1):
        assert np.diff(epoch.passes[epoch.posts == post]).min() >= 2


def test_repeats_are_spread_evenly() -> None:
    epoch = make_order(4000, factor=4.0).epoch(0)
    for post in range(0, 4000, 5):
        places = np.flatnonzero(epoch.posts == post)
        assert len(places) == 4
        assert np.diff(places).min() > len(epoch.posts) / 4 * 0.4


@settings(max_examples=60)
@given(CORPORA)
def test_a_stretch_of_a_pass_draws_from_half_as_many_row_groups_as_there_are_streams(
    order: Order,
) -> None:
    epoch = order.epoch(0)
    streams, checked = order.streams, 0
    for number in np.unique(epoch.passes):
        groups = order.groups[epoch.posts[epoch.passes == number]]
        if np.bincount(groups).max() <= len(groups) // streams:
            for start in range(len(groups) - streams + 1):
                assert len(set(groups[start : start + streams].tolist())) >= streams / 2
                checked += 1
    assume(checked)


def test_every_batch_of_64_draws_from_16_row_groups_and_more_by_default() -> None:
    order = make_order(6_400, factor=3.0, streams=32, lanes=8, rows=64)  # 100 row groups
    for start in range(0, 20_000, 64):  # two epochs and their border
        groups = order.groups[order.take(start, start + 64).posts]
        assert len(set(groups.tolist())) >= 16


def test_too_few_row_groups_are_all_drawn_from() -> None:
    order = make_order(40, streams=32, lanes=8)  # 5 row groups
    for start in range(0, 160, 32):
        assert len(set(order.groups[order.take(start, start + 32).posts].tolist())) >= 4


def test_a_batch_of_posts_sorted_by_topic_is_like_a_random_draw() -> None:
    posts, topics, batch = 20_000, 50, 128
    topic = np.arange(posts) * topics // posts
    order = make_order(posts, streams=32, lanes=8, rows=128)
    rng = np.random.default_rng(0)

    def same(batches: list[np.ndarray]) -> np.ndarray:
        """Pairs of a batch that share a topic."""
        found = np.array([np.bincount(topic[b], minlength=topics) for b in batches])
        return (found * (found - 1)).sum(axis=1) / 2

    drawn = same([rng.choice(posts, batch, replace=False) for _ in range(150)])
    ours = same([order.epoch(n).posts[2 * batch : 3 * batch] for n in range(150)])
    error = (drawn.var() / 150 + ours.var() / 150) ** 0.5
    assert ours.mean() < drawn.mean() + 3 * error, "no clumps"
    assert ours.mean() > drawn.mean() * 0.85, "only somewhat more even than chance"


def test_the_order_does_not_depend_on_how_it_is_read() -> None:
    whole = make_order(100, factor=3.5).take(0, 700)
    parts = make_order(100, factor=3.5)
    for start in range(0, 700, 70):
        part = parts.take(start, start + 70)
        assert (part.posts == whole.posts[start : start + 70]).all()
        assert (part.epochs == whole.epochs[start : start + 70]).all()
    resumed = make_order(100, factor=3.5).take(350, 700)
    assert (resumed.posts == whole.posts[350:]).all()


def test_what_was_read_long_ago_can_be_read_again() -> None:
    order = make_order(100, factor=3.5)
    early = order.take(100, 200)
    late = order.take(2 * KEPT, 2 * KEPT + 100)
    assert (order.take(100, 200).posts == early.posts).all()
    assert (order.take(2 * KEPT, 2 * KEPT + 100).posts == late.posts).all()


def test_no_sample_comes_twice_in_a_run_and_epochs_follow_each_other() -> None:
    samples = make_order(100, factor=2.5).take(0, 1000)
    seen = Counter(
        zip(samples.epochs.tolist(), samples.posts.tolist(), samples.repeats.tolist(), strict=True)
    )
    assert max(seen.values()) == 1
    assert (np.diff(samples.epochs) >= 0).all()


def test_workers_share_a_batch_without_overlap() -> None:
    order = make_order(100)
    shares = [order.share(0, 64, rank, 3) for rank in range(3)]
    assert sum(len(share) for share in shares) == 64
    together = np.sort(np.concatenate([share.posts for share in shares]))
    assert (together == np.sort(order.take(0, 64).posts)).all()


def test_seeds_and_epochs_differ() -> None:
    order = make_order(100)
    first, second = order.epoch(0).posts, order.epoch(1).posts
    assert (first != second).any()
    assert (first != make_order(100, seed=1).epoch(0).posts).any()


@given(st.integers(1, 60), st.integers(1, 20))
def test_spans_cut_evenly(size: int, parts: int) -> None:
    run, place = span(np.arange(size), np.full(size, size), parts)
    lengths = np.bincount(run, minlength=parts)
    assert lengths.max() - lengths.min() <= 1
    assert (np.diff(lengths) <= 0).all()
    assert (place == np.concatenate([np.arange(n) for n in lengths])).all()


def shortest_pass(epoch: Epoch) -> int:
    return int(np.bincount(epoch.passes).min())
