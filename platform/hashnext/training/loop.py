"""The training loop: batches in, steps taken, state kept, reports out. No Ray, no MLflow.

What the surroundings must provide is in `Surroundings`; Ray Train gives one, a plain process the
other.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from hashnext.config import PretrainConfig
from hashnext.errors import DataError, StateError
from hashnext.training.checkpoint import TrainingState
from hashnext.training.prefetch import DeviceBatch
from hashnext.training.schedule import learning_rate
from hashnext.training.step import Step, Stepper
from hashnext.training.watch import Window, hardware

Metrics = dict[str, float]
Write = Callable[[Path], None]
T = TypeVar("T")


class Wish(IntEnum):
    """What somebody outside wants of the loop."""

    GO_ON = 0
    SAVE = 1
    """The machine may go soon: keep a checkpoint now."""
    STOP = 2
    """Keep a checkpoint and end."""


class Surroundings(Protocol):
    """What a worker's process offers the loop."""

    rank: int
    world: int
    neighbours: int
    """Workers on this machine, this one among them."""
    threads: int
    """CPU threads for the network, where it runs on CPU."""

    def totals(self, *values: float) -> list[float]:
        """Sum of each value over all workers."""

    def gather(self, value: T) -> list[T]:
        """Every worker's value, in the order of ranks."""

    def report(self, metrics: Metrics, write: Write | None) -> bool:
        """Publish metrics; with `write`, keep a checkpoint that it writes into a folder.

        False where that could not be written: a full disk does not end a run by itself.
        """

    def keeping(self) -> AbstractContextManager[None]:
        """While the block runs, a checkpoint is collected and written: that may take its time."""

    def progress(self, images_seen: int, note: str) -> None:
        """Show how far the run is; an attempt begins with an empty note."""

    def say(self, text: str) -> None:
        """Tell the user."""

    def stopping(self) -> bool:
        """Whether this worker knows that the run shall end; asked where there are no steps."""

    def wish(self) -> Wish:
        """What is wanted; all workers ask before every step, and the wish of one counts for all."""

    def watched(self) -> AbstractContextManager[None]:
        """While the block runs, no progress for long means that something hangs."""


class NotFinite(DataError):  # noqa: N818 - an outcome, with the posts behind it
    """The loss or its gradient is infinite or not a number.

    Attributes:
        keys: of the posts whose loss is not finite when each is tried alone, with the statistics
            from before the step in place of the batch's; of the whole batch, where there is none.
    """

    def __init__(self, message: str, keys: list[int]) -> None:
        super().__init__(message)
        self.keys = keys


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The parts of a run, ready to go."""

    config: PretrainConfig
    stepper: Stepper
    around: Surroundings
    snapshot: Callable[[TrainingState], Write]
    """Takes a state, together with all workers, to be written into a folder afterwards."""
    flops: float
    """Operations of a training step, an image."""

    def run(self, batches: Iterator[DeviceBatch], state: TrainingState) -> bool:
        """Run from `state` to the end of the schedule; `state` is advanced in place.

        Args:
            batches: this worker's share of each global batch, from `state.images_seen` on.
            state: where the run stands.

        Returns:
            Whether it came to the end; False when it was told to stop.

        Raises:
            NotFinite: the loss or its gradient; the gradient, which is not finite either where a
                loss is not a number, leaves weights and statistics as before the step.
            DataError: nothing could be read for a whole batch.
            StateError: the last checkpoint could not be written.
        """
        window = Window(self.flops)
        self.around.progress(state.images_seen, "")  # what is beyond a checkpoint is done again
        while state.images_seen < self.config.schedule.images:
            started = time.perf_counter()
            batch = next(batches)
            arrived = time.perf_counter()
            window.waited_s += arrived - started
            wish = self._advance(batch, state, window)
            window.steps_s.append(time.perf_counter() - arrived)
            if self._report(window, state, wish):
                window = Window(self.flops)
            if wish is Wish.STOP:
                return state.images_seen >= self.config.schedule.images
        return True

    def _advance(self, batch: DeviceBatch, state: TrainingState, window: Window) -> Wish:
        """Take one step and account for it."""
        total, *wishes = self.around.totals(float(len(batch)), *_ballot(self.around.wish()))
        if total == 0:
            raise DataError(f"no sample of the batch at image {state.images_seen} could be read")
        rate = learning_rate(self.config.schedule, self.config.batch, state.images_seen)
        step = self.stepper.step(batch, int(total), rate, state.images_seen)
        loss, floor = self.around.totals(step.loss, step.floor)
        if not (math.isfinite(loss) and math.isfinite(step.gradient_norm)):
            raise self._not_finite(batch, step, loss, rate, state)
        samples = batch.host.samples
        state.ledger.add(samples.streams, samples.epochs, batch.host.keys, samples.repeats)
        state.skipped |= batch.host.skipped
        state.missing |= batch.host.missing
        state.images_seen = min(state.images_seen + self.config.batch, self.config.schedule.images)
        window.loss, window.floor = window.loss + loss, window.floor + floor
        window.learning_rate = rate
        window.samples += total
        window.gradient_norm += step.gradient_norm
        self.around.progress(state.images_seen, f"loss {window.loss / window.samples:.3f}")
        return _most(wishes)

    def _report(self, window: Window, state: TrainingState, wish: Wish) -> bool:
        """Report if it is time to; True when it was."""
        finished = state.images_seen >= self.config.schedule.images
        batch = self.config.batch
        save = wish or finished or _crosses(state.images_seen, self.config.checkpoint_images, batch)
        if not (save or _crosses(state.images_seen, self.config.log_images, batch)):
            return False
        metrics = window.metrics()
        metrics |= hardware(self.stepper.device, metrics["tflops"], self.around.world)
        metrics["images_seen"] = state.images_seen
        with self.around.keeping():
            if save:
                _share(state, self.around)
            kept = self.around.report(metrics, self.snapshot(state) if save else None)
        if not kept and (finished or wish is Wish.STOP):
            raise StateError(f"the checkpoint of image {state.images_seen} could not be written")
        return True

    def _not_finite(
        self, batch: DeviceBatch, step: Step, loss: float, rate: float, state: TrainingState
    ) -> NotFinite:
        """What went wrong, and with which posts; every worker asks.

        In the step, batch norm spreads what is wrong with one image over all: each is tried alone.
        """
        bad = ~np.isfinite(self.stepper.losses_alone(batch).cpu().numpy())
        found = self.around.gather((batch.host.keys[bad].tolist(), batch.host.keys.tolist()))
        bad_keys = [key for bad, _ in found for key in bad]
        all_keys = [key for _, keys in found for key in keys]
        return NotFinite(
            f"loss is {loss}, norm of its gradient {step.gradient_norm}, at image "
            f"{state.images_seen}, learning rate {rate:.4g}",
            sorted(bad_keys or all_keys),
        )


def _ballot(wish: Wish) -> tuple[float, float]:
    return float(wish is Wish.SAVE), float(wish is Wish.STOP)


def _most(votes: list[float]) -> Wish:
    save, stop = votes
    return Wish.STOP if stop else Wish.SAVE if save else Wish.GO_ON


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
