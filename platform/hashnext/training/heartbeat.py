"""A worker that hangs is ended, so that it can be started again."""

import faulthandler
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hashnext.background import repeating

PATIENCE = 10
"""A first step, which may wait for actors and compile, and writing a checkpoint may take so many
times the limit."""
STALLED = 86
"""Exit status of a worker that stood still."""


@dataclass
class Heartbeat:
    """Ends the process when no beat has come for too long, so that it can be started again.

    A worker that waits for ever, in a collective or for data, raises nothing. Its stacks go to
    stderr; Ray Train sees it die and restarts all workers from the last checkpoint.
    """

    limit_s: float
    beats: int = 0
    patient: bool = False
    """What is being done may take longer than a step."""
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Something got done."""
        self.beats, self.last = self.beats + 1, time.monotonic()

    @property
    def overdue(self) -> bool:
        """True when the next beat should have come."""
        patience = PATIENCE if self.patient or self.beats < 2 else 1
        return time.monotonic() - self.last > self.limit_s * patience

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Be patient while the block runs; its end is a beat."""
        self.patient = True
        try:
            yield
        finally:
            self.beat()
            self.patient = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch from a thread while the block runs."""
        self.beats, self.last = 0, time.monotonic()
        with repeating(self._check, min(1.0, self.limit_s / 4)):
            yield

    def _check(self) -> None:
        if self.overdue:
            print(f"no progress for {self.limit_s:g} s; giving up", file=sys.stderr)
            faulthandler.dump_traceback(sys.stderr)
            os._exit(STALLED)
