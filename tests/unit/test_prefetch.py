"""Batches ahead of time: all of them, in order, errors in their place, and no more than asked."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from flat_model import make_batch

from hashnext.training.prefetch import ahead, on_device


def test_everything_comes_in_order() -> None:
    assert list(ahead(iter(range(100)), 3)) == list(range(100))
    assert list(ahead(iter([]), 2)) == []


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    found = ahead(items(), 2)
    assert next(found) == 1
    with pytest.raises(KeyError, match="broken"):
        next(found)


def test_items_are_made_while_others_are_used_but_not_without_end() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    found = ahead(items(), 2)
    next(found)
    wait_until(lambda: len(made) >= 4)
    time.sleep(0.2)
    assert len(made) == 4, "one in use, two waiting, one in hand"


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    found = ahead(iter(range(100)), 2)
    next(found)
    assert threading.active_count() == before + 1
    found.close()  # type: ignore[attr-defined]  # a generator
    wait_until(lambda: threading.active_count() == before)


def test_a_batch_on_the_device_is_the_batch() -> None:
    batch = make_batch()
    (found,) = on_device(iter([batch]), torch.device("cpu"))
    assert found.host is batch
    assert found.images.dtype == torch.uint8
    assert found.labels.dtype == found.offsets.dtype == torch.int64
    assert (found.images.numpy() == batch.images).all()
    assert found.labels.tolist() == batch.labels.tolist()
    assert len(found) == 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gets_the_same_batches() -> None:
    batch = make_batch()
    found = list(on_device(iter([batch] * 10), torch.device("cuda")))
    assert len(found) == 10
    assert all((one.images.cpu().numpy() == batch.images).all() for one in found)


def wait_until(reached: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
