"""Exactly once: whatever is killed and resumed, with however many workers, the checkpoints that
survive tell of the same samples as an undisturbed run.

The witness is the multiset of (epoch, post, repeat) itself, beside the ledger's hashes. Workers and
batches are those of training, in one process and without images.
"""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.shards.ledger import Ledger
from hashnext.shards.order import Order, Samples

STREAMS, BATCH, IMAGES, EVERY = 8, 24, 1_000, 3
"""The last batch is short; a checkpoint every three batches."""
POSTS, ROWS_PER_GROUP = 300, 10

Seen = Counter[tuple[int, int, int]]


@dataclass
class Checkpoint:
    """What survives a kill."""

    images_seen: int = 0
    ledger: Ledger = field(default_factory=lambda: Ledger.empty(STREAMS))
    seen: Seen = field(default_factory=Counter)


def make_order() -> Order:
    rng = np.random.default_rng(3)
    return Order(
        keys=rng.integers(0, 2**63, POSTS).astype(np.uint64),
        row_groups=np.arange(POSTS) // ROWS_PER_GROUP, factors=1 + 3 * rng.random(POSTS), seed=5,
        streams=STREAMS, lanes=2,
    )  # fmt: skip


def attempt(latest: Checkpoint, world: int, batches: int, broken: set[int]) -> Checkpoint:
    """Train on from a checkpoint until a kill after some batches; the last checkpoint taken.

    Every worker has an order and a ledger of its own, and they meet at checkpoints only.
    """
    orders = [make_order() for _ in range(world)]
    ledgers = [deepcopy(latest.ledger) for _ in range(world)]
    seen, start = latest.seen.copy(), latest.images_seen
    for number in range(batches):
        if start >= IMAGES:
            break
        stop = min(start + BATCH, IMAGES)
        for rank, order in enumerate(orders):
            samples = readable(order, order.share(start, stop, rank, world), broken)
            keys = order.keys[samples.posts]
            ledgers[rank].add(samples.streams, samples.epochs, keys, samples.repeats)
            seen.update(triples(samples))
        start = stop
        if (number + 1) % EVERY == 0 or start >= IMAGES:
            merged = ledgers[0].merged(ledgers)
            ledgers = [deepcopy(merged) for _ in range(world)]
            latest = Checkpoint(start, merged, seen.copy())
    return latest


def readable(order: Order, samples: Samples, broken: set[int]) -> Samples:
    return samples.where(~np.isin(order.groups[samples.posts], list(broken)))


def triples(samples: Samples) -> list[tuple[int, int, int]]:
    columns = (samples.epochs, samples.posts, samples.repeats)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@settings(max_examples=40)
@given(
    attempts=st.lists(st.tuples(st.integers(1, STREAMS), st.integers(0, 20)), max_size=8),
    last=st.integers(1, STREAMS),
    broken=st.sets(st.integers(0, POSTS // ROWS_PER_GROUP - 1), max_size=3),
)
def test_kills_and_other_numbers_of_workers_change_nothing(
    attempts: list[tuple[int, int]], last: int, broken: set[int]
) -> None:
    state = Checkpoint()
    for world, batches in attempts:
        state = attempt(state, world, batches, broken)
    state = attempt(state, last, IMAGES, broken)
    undisturbed = attempt(Checkpoint(), 1, IMAGES, broken)
    order = make_order()
    expected = readable(order, order.take(0, IMAGES), broken)
    assert state.images_seen == undisturbed.images_seen == IMAGES
    assert state.seen == undisturbed.seen == Counter(triples(expected))
    assert set(state.seen.values()) == {1}
    assert state.ledger == undisturbed.ledger
    assert state.ledger.samples == len(expected)


def test_two_one_three_workers_with_a_broken_row_group() -> None:
    state = Checkpoint()
    for world, batches in ((2, 13), (1, 11), (3, 100)):
        state = attempt(state, world, batches, {4})
    order = make_order()
    whole = order.take(0, IMAGES)
    lost = order.groups[whole.posts] == 4
    assert 0 < lost.sum() < 100
    assert state.seen == Counter(triples(whole)) - Counter(triples(whole.where(lost)))


def test_the_ledger_tells_a_sample_lost_from_one_read() -> None:
    whole, lost = (attempt(Checkpoint(), 1, IMAGES, broken) for broken in (set(), {4}))
    assert whole.ledger.digest != lost.ledger.digest
