"""The ledger tells runs apart, and does not care how a run was cut."""

import numpy as np

from hashnext.shards.ledger import Ledger

STREAMS = 3


def arrays(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    numbers = np.arange(count)
    return numbers % STREAMS, numbers // 50, numbers.astype(np.uint64) * 7, numbers * 0


def test_cutting_a_run_does_not_change_its_ledger() -> None:
    whole, cut = Ledger.empty(STREAMS), Ledger.empty(STREAMS)
    whole.add(*arrays(100))
    for part in np.array_split(np.arange(100), 7):
        cut.add(*(array[part] for array in arrays(100)))
    assert cut.digest == whole.digest
    assert cut.samples == 100


def test_order_and_content_matter() -> None:
    streams, epochs, keys, repeats = arrays(100)
    one, other, repeated = (Ledger.empty(STREAMS) for _ in range(3))
    one.add(streams, epochs, keys, repeats)
    swapped = np.arange(100)
    swapped[[0, 3]] = swapped[[3, 0]]  # both of stream 0
    other.add(streams, epochs, keys[swapped], repeats)
    repeated.add(streams, epochs, keys, repeats + 1)
    assert len({one.digest, other.digest, repeated.digest}) == 3


def test_workers_ledgers_merge_into_that_of_one_worker() -> None:
    streams, epochs, keys, repeats = arrays(100)
    whole = Ledger.empty(STREAMS)
    whole.add(streams, epochs, keys, repeats)
    shares = []
    for rank in range(2):
        share, mine = Ledger.empty(STREAMS), streams % 2 == rank
        share.add(streams[mine], epochs[mine], keys[mine], repeats[mine])
        shares.append(share)
    assert shares[0].merged(shares).digest == whole.digest
