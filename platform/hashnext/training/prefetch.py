"""Batches on the device before they are asked for.

On a GPU, a thread takes a batch from the loader, pins it and copies it on a CUDA stream of its own,
while the step before it computes. On CPU a batch is used where it lies.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from hashnext.shards.batch import Batch

T = TypeVar("T")
DEPTH = 2
"""Batches on the device beside the one in use."""
PATIENCE_S = 0.1


@dataclass(frozen=True)
class DeviceBatch:
    """A worker's share of a global batch, on its device."""

    host: Batch
    """Where it came from: which samples it holds."""
    images: Tensor
    """uint8 (b, size, size, 3), RGB."""
    flips: Tensor
    """bool (b,): samples to mirror."""
    offsets: Tensor
    """int64 (b + 1,): start of each sample's labels."""
    labels: Tensor
    """int64 (assignments,): label ids."""

    def __len__(self) -> int:
        return len(self.images)


def on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[DeviceBatch]:
    """The same batches on a device, in order; ahead of time where that is a GPU."""
    if device.type != "cuda":
        for batch in batches:
            yield upload(batch, device)
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copied() -> Iterator[tuple[DeviceBatch, torch.cuda.Event]]:
        for batch in batches:
            with torch.cuda.stream(side):
                yield upload(batch, device), side.record_event()

    for found, arrived in ahead(copied(), DEPTH):
        current = torch.cuda.current_stream(device)
        current.wait_event(arrived)
        for tensor in (found.images, found.flips, found.offsets, found.labels):
            tensor.record_stream(current)  # else its memory could be reused while it is read
        yield found


def upload(batch: Batch, device: torch.device) -> DeviceBatch:
    """Copy a batch; to a GPU from pinned memory, without waiting for the end of the copy."""

    def moved(array: np.ndarray[Any, Any]) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # read-only shared memory, which nobody writes
            tensor = torch.from_numpy(array)
        if device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=True)

    labels = batch.labels.astype(np.int64)
    return DeviceBatch(
        batch, moved(batch.images), moved(batch.flips), moved(batch.offsets), moved(labels)
    )


def ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items in order, up to `depth` of them made by a thread before they are asked for.

    What `items` raises is raised here, after the items before it.
    """
    made: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    left = Event()

    def offer(item: T | None, error: BaseException | None) -> None:
        while not left.is_set():
            try:
                made.put((item, error), timeout=PATIENCE_S)
            except Full:
                continue
            break

    def make() -> None:
        error: BaseException = StopIteration()
        try:
            for item in items:
                offer(item, None)
                if left.is_set():
                    return
        except BaseException as raised:
            error = raised
        offer(None, error)

    Thread(target=make, daemon=True).start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # an item comes without an error
    finally:
        left.set()
