"""A run in one process, without Ray Train: for trials of a sweep, which Ray Tune places itself."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import nn

from hashnext.errors import StateError
from hashnext.training import checkpoint
from hashnext.training.loop import Metrics
from hashnext.training.worker import Outcome, Run, work

T = TypeVar("T")
PREFIX = "checkpoint-"


@dataclass
class LocalSurroundings:
    """`training.loop.Surroundings` of a run that is alone."""

    folder: Path
    """Where checkpoints go; the latest one is kept."""
    threads: int
    rank: int = 0
    world: int = 1

    def total(self, value: float) -> float:
        """Sum over all workers."""
        return value

    def gather(self, value: T) -> list[T]:
        """Every worker's value."""
        return [value]

    def report(self, metrics: Metrics, save: Callable[[Path], None] | None) -> None:
        """Keep a checkpoint, written aside and renamed; metrics go nowhere."""
        if save is None:
            return
        aside = self.folder / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save(aside)
        earlier = list(self.folder.glob(f"{PREFIX}*"))
        aside.rename(self.folder / f"{PREFIX}{int(metrics['images_seen']):012d}")
        for folder in earlier:
            shutil.rmtree(folder)

    def progress(self, images_seen: int, note: str) -> None:
        """A trial's progress is not shown; the sweep's is."""

    def latest(self) -> Path | None:
        """The latest whole checkpoint."""
        for folder in sorted(self.folder.glob(f"{PREFIX}*"), reverse=True):
            try:
                checkpoint.load(folder)
            except StateError:
                continue
            return folder
        return None


def run_locally(run: Run, folder: Path, threads: int) -> tuple[Outcome, Path]:
    """Run to the end in this process, continuing from what `folder` holds.

    Needs a Ray session, because the stream is Ray Data's.

    Args:
        run: what to compute.
        folder: where checkpoints go.
        threads: CPU threads for the network.

    Returns:
        The outcome and the folder of the last checkpoint.
    """
    around = LocalSurroundings(folder, threads)
    outcome = work(run, around, _as_it_is, around.latest())
    last = around.latest()
    assert last is not None
    return outcome, last


def _as_it_is(network: nn.Module) -> nn.Module:
    return network
