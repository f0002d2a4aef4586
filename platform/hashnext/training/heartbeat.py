"""A worker that hangs is ended, so that it can be started again."""

import faulthandler
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hashnext.background import repeating

START_S = 300.0
"""What a first step may take, which waits for actors to start and may compile."""
KEEP_S = 120.0
"""What writing a checkpoint may take."""
STALLED = 86
"""Exit status of a worker that stood still."""


@dataclass
class Heartbeat:
    """Ends the process when no beat has come for too long, so that it can be started again.

    A worker that waits for ever, in a collective or for data, raises nothing. Its stacks go to
    stderr; Ray Train sees it die and restarts all workers from the last checkpoint.
    """

    limit_s: float
    """What a step may take."""
    start_s: float = START_S
    keep_s: float = KEEP_S
    beats: int = 0
    patient: bool = False
    """A checkpoint is being written."""
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Something got done."""
        self.beats, self.last = self.beats + 1, time.monotonic()

    @property
    def allowed_s(self) -> float:
        """What the present phase may take; never less than a step."""
        if self.patient:
            return max(self.limit_s, self.keep_s)
        return max(self.limit_s, self.start_s) if self.beats < 2 else self.limit_s

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the block runs, a checkpoint is written; its end is a beat."""
        self.beat()
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
        allowed_s = self.allowed_s
        if time.monotonic() - self.last > allowed_s:
            print(f"no progress for {allowed_s:g} s; giving up", file=sys.stderr)
            faulthandler.dump_traceback(sys.stderr)
            os._exit(STALLED)
