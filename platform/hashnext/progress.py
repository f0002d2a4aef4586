"""Progress of long work: a bar with rate and ETA on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0


class Meter(Protocol):
    """What the work reports to."""

    def update(self, done: float, note: str = "") -> None:
        """Tell how many units are done so far; `note` is shown behind the rate."""


@contextmanager
def meter(title: str, total: float, unit: str) -> Iterator[Meter]:
    """Show progress on stderr while the block runs.

    Args:
        title: what is being done.
        total: units of work in all; 0 when unknown.
        unit: plural name of the unit, such as "posts".
    """
    if not sys.stderr.isatty():
        lines = _Lines(title, total, unit)
        yield lines
        lines.close()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total or None, rate="", note="")
        bar = _Bar(progress, task, unit)
        yield bar


@dataclass
class _Bar:
    progress: Progress
    task: int
    unit: str
    started: float = field(default_factory=time.monotonic)

    def update(self, done: float, note: str = "") -> None:
        rate = f"{done / max(time.monotonic() - self.started, 1e-9):,.0f} {self.unit}/s"
        self.progress.update(self.task, completed=done, rate=rate, note=note)  # type: ignore[arg-type]


@dataclass
class _Lines:
    title: str
    total: float
    unit: str
    started: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)
    shown: float = 0.0
    done: float = 0.0
    note: str = ""

    def update(self, done: float, note: str = "") -> None:
        self.done, self.note = done, note
        if time.monotonic() - self.printed >= LINE_EVERY_S:
            self.close()

    def close(self) -> None:
        """Print how far it is, unless that was said before."""
        if self.done == self.shown:
            return
        self.printed, self.shown = time.monotonic(), self.done
        rate = self.done / max(self.printed - self.started, 1e-9)
        known = self.total and rate
        left = f", {(self.total - self.done) / rate:,.0f} s left" if known else ""
        share = f" of {self.total:,.0f} {self.unit}" if self.total else f" {self.unit}"
        note = f"  {self.note}" if self.note else ""
        line = f"{self.title}: {self.done:,.0f}{share} ({rate:,.0f}/s{left}){note}"
        print(line, file=sys.stderr, flush=True)


@dataclass
class Stopwatch:
    """Seconds of the stages of some work: `with clock("matching"): ...`."""

    seconds: dict[str, float] = field(default_factory=dict)
    """By stage; a stage entered again adds to its seconds."""

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started
