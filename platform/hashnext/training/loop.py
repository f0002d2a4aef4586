"""The training loop: batches in, steps taken, state kept, reports out. No Ray, no MLflow.

What the surroundings must provide is in `Surroundings`; Ray Train gives one, a plain process the
other.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from hashnext.config import PretrainConfig
from hashnext.errors import DataError
from hashnext.training.checkpoint import TrainingState
from hashnext.training.prefetch import DeviceBatch
from hashnext.training.schedule import learning_rate
from hashnext.training.step import Stepper

Metrics = dict[str, float]
T = TypeVar("T")


class Surroundings(Protocol):
    """What a worker's process offers the loop."""

    rank: int
    world: int
    threads: int
    """CPU threads for the network, where it runs on CPU."""

    def total(self, value: float) -> float:
        """Sum over all workers."""

    def gather(self, value: T) -> list[T]:
        """Every worker's value, in the order of ranks."""

    def report(self, metrics: Metrics, save: Callable[[Path], None] | None) -> None:
        """Publish metrics; with `save`, keep a checkpoint that it writes into a folder."""

    def progress(self, images_seen: int, note: str) -> None:
        """Show how far the run is; an attempt begins with an empty note."""


@dataclass
class Window:
    """Sums since the last report."""

    loss: float = 0.0
    samples: float = 0.0
    steps: int = 0
    waited_s: float = 0.0
    gradient_norm: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def metrics(self, rate: float, state: TrainingState) -> Metrics:
        """Means over the window, as of `state`."""
        seconds = max(time.perf_counter() - self.started, 1e-9)
        return {
            "loss": self.loss / max(self.samples, 1),
            "images_per_s": self.samples / seconds,
            "data_wait": self.waited_s / seconds,
            "gradient_norm": self.gradient_norm / max(self.steps, 1),
            "learning_rate": rate,
            "images_seen": state.images_seen,
        }


def train(
    config: PretrainConfig,
    stepper: Stepper,
    batches: Iterator[DeviceBatch],
    state: TrainingState,
    save: Callable[[Path, TrainingState], None],
    around: Surroundings,
) -> None:
    """Run from `state` to the end of the schedule; `state` is advanced in place.

    Args:
        config: length, batch and learning rate.
        stepper: takes the steps.
        batches: this worker's share of each global batch, from `state.images_seen` on.
        state: where the run stands.
        save: writes a checkpoint of a state into a folder.
        around: the worker's surroundings.

    Raises:
        DataError: the loss is not finite, or nothing could be read for a whole batch.
    """
    window = Window()
    around.progress(state.images_seen, "")  # what was done beyond a checkpoint is done again
    while state.images_seen < config.schedule.images:
        waiting = time.perf_counter()
        batch = next(batches)
        window.waited_s += time.perf_counter() - waiting
        rate = learning_rate(config.schedule, config.batch, state.images_seen)
        _advance(config, stepper, batch, rate, state, window, around)
        finished = state.images_seen >= config.schedule.images
        if finished or _crosses(state.images_seen, config.checkpoint_images, config.batch):
            _share(state, around)
            around.report(window.metrics(rate, state), lambda folder: save(folder, state))
            window = Window()
        elif _crosses(state.images_seen, config.log_images, config.batch):
            around.report(window.metrics(rate, state), None)
            window = Window()


def _advance(
    config: PretrainConfig, stepper: Stepper, batch: DeviceBatch, rate: float, state: TrainingState,
    window: Window, around: Surroundings,
) -> None:  # fmt: skip
    """Take one step and account for it."""
    planned = min(config.batch, config.schedule.images - state.images_seen)
    total = around.total(float(len(batch)))
    if total == 0:
        raise DataError(f"no sample of the batch at image {state.images_seen} could be read")
    loss, norm = stepper.step(batch, int(total), rate, state.images_seen)
    loss = around.total(loss)
    if not math.isfinite(loss):
        raise DataError(f"loss is {loss} at image {state.images_seen}, learning rate {rate:.4g}")
    samples = batch.host.samples
    state.ledger.add(samples.streams, samples.epochs, batch.host.keys, samples.repeats)
    state.skipped |= batch.host.skipped
    state.missing |= batch.host.missing
    state.images_seen += planned
    window.loss += loss
    window.samples += total
    window.steps += 1
    window.gradient_norm += norm
    around.progress(state.images_seen, f"loss {window.loss / window.samples:.3f}")


def _share(state: TrainingState, around: Surroundings) -> None:
    """Give every worker the whole ledger: each has advanced only its own streams."""
    others = around.gather(state)
    state.ledger = state.ledger.merged([other.ledger for other in others])
    for other in others:
        state.skipped |= other.skipped
        state.missing |= other.missing


def _crosses(images_seen: int, every: int, batch: int) -> bool:
    """True once in every `every` images, however it relates to the batch."""
    return images_seen // every > (images_seen - batch) // every
