"""A run in one process, without Ray Train: for trials of a sweep, which Ray Tune places itself."""

import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hashnext import settings
from hashnext.errors import StateError
from hashnext.training import checkpoint
from hashnext.training.loop import Metrics, Wish, Write
from hashnext.training.worker import Outcome, Run, work

T = TypeVar("T")
PREFIX = "checkpoint-"


@dataclass
class LocalSurroundings:
    """`training.loop.Surroundings` of a run that is alone."""

    folder: Path
    """Where checkpoints go; the latest one is kept."""
    threads: int = field(default_factory=settings.cores)
    rank: int = 0
    world: int = 1
    neighbours: int = 1

    def totals(self, *values: float) -> list[float]:
        """Sum of each value over all workers."""
        return list(values)

    def gather(self, value: T) -> list[T]:
        """Every worker's value."""
        return [value]

    def report(self, metrics: Metrics, write: Write | None) -> bool:
        """Keep a checkpoint, written aside and renamed; metrics go nowhere."""
        if write is None:
            return True
        aside = self.folder / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.mkdir(parents=True)
            write(aside)
            target = self.folder / f"{PREFIX}{int(metrics['images_seen']):012d}"
            shutil.rmtree(target, ignore_errors=True)  # a broken one: the run went on from another
            earlier = list(self.folder.glob(f"{PREFIX}*"))
            aside.rename(target)
        except OSError as error:
            print(f"warning: {self.folder}: no checkpoint ({error})", file=sys.stderr)
            return False
        for folder in earlier:
            shutil.rmtree(folder)
        return True

    def keeping(self) -> AbstractContextManager[None]:
        """A trial that takes long is not ended."""
        return nullcontext()

    def progress(self, images_seen: int, note: str) -> None:
        """A trial's progress is not shown; the sweep's is."""

    def say(self, text: str) -> None:
        """A trial says nothing."""

    def stopping(self) -> bool:
        """Nobody asks a trial to stop."""
        return False

    def wish(self) -> Wish:
        """Nobody asks a trial to stop; Ray Tune ends its process."""
        return Wish.GO_ON

    def watched(self) -> AbstractContextManager[None]:
        """A trial that hangs is not ended."""
        return nullcontext()

    def latest(self) -> Path | None:
        """Folder of the latest whole checkpoint."""
        for folder in sorted(self.folder.glob(f"{PREFIX}*"), reverse=True):
            try:
                checkpoint.load(folder)
            except StateError:
                continue
            return folder
        return None


def run_locally(run: Run, folder: Path) -> tuple[Outcome, Path]:
    """Run to the end in this process, continuing from what `folder` holds.

    Needs a Ray session, because the stream is Ray Data's.

    Args:
        run: what to compute.
        folder: where checkpoints go.

    Returns:
        The outcome and the folder of the last checkpoint.
    """
    around = LocalSurroundings(folder)
    earlier = around.latest()
    outcome = work(run, around, checkpoint.load(earlier) if earlier else None)
    last = around.latest()
    assert isinstance(outcome, Outcome)
    assert last is not None
    return outcome, last
