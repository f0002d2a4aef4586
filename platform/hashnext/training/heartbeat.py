"""A worker that hangs is ended, so that it can be started again."""

import faulthandler
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch._dynamo.callback import CallbackArgs, callback_handler

from hashnext.background import repeating

START_S = 110.0
"""What a first step may take, which waits for actors to start."""
KEEP_S = 110.0
"""What writing a checkpoint may take."""
COMPILE_S = 300.0
"""What the compiler may take, before a first step and whenever a shape is new."""
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
    compile_s: float = COMPILE_S
    beats: int = 0
    patience_s: float = 0
    """What is under way that may take longer: writing a checkpoint, or compiling."""
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Something got done."""
        self.beats, self.last = self.beats + 1, time.monotonic()

    @property
    def allowed_s(self) -> float:
        """What the present phase may take; never less than a step."""
        return max(self.limit_s, self.patience_s, self.start_s if self.beats < 2 else 0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the block runs, a checkpoint is written; its end is a beat."""
        self._begin(self.keep_s)
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch from a thread while the block runs."""
        self.beats, self.last = 0, time.monotonic()
        with self._told_of_compiling(), repeating(self._check, min(1.0, self.limit_s / 4)):
            yield

    @contextmanager
    def _told_of_compiling(self) -> Iterator[None]:
        """A worker whose step is being compiled is at work: that time does not count as a step's.

        Whole phases of tracing and compiling are told, forward and backward (`torch._dynamo`).
        """

        def begin(_: CallbackArgs) -> None:
            self._begin(self.compile_s)

        def end(_: CallbackArgs) -> None:
            self._end()

        callback_handler.register_start_callback(begin)
        callback_handler.register_end_callback(end)
        try:
            yield
        finally:
            callback_handler.remove_start_callback(begin)
            callback_handler.remove_end_callback(end)

    def _begin(self, patience_s: float) -> None:
        self.last, self.patience_s = time.monotonic(), patience_s

    def _end(self) -> None:
        self.last, self.patience_s = time.monotonic(), 0

    def _check(self) -> None:
        allowed_s = self.allowed_s
        if time.monotonic() - self.last > allowed_s:
            print(f"no progress for {allowed_s:g} s; giving up", file=sys.stderr)
            faulthandler.dump_traceback(sys.stderr)
            os._exit(STALLED)
