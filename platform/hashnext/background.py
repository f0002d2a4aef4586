"""What is done beside the work: something small again and again, or what can wait for a core."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LEAST_URGENT = 19


@contextmanager
def repeating(act: Callable[[], object], every_s: float) -> Iterator[None]:
    """Call `act` from a thread every `every_s` seconds while the block runs.

    When the block has ended, no call is under way and none follows.
    """
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every_s):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def give_way() -> None:
    """Have this process compute only while a core has nothing else to do.

    A step of several threads waits for the last of them at the end of every operation, so whoever
    takes the core of one holds up all. Linux's idle class gives way at once; the least urgent
    priority of nice(2), elsewhere, within some milliseconds.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(LEAST_URGENT)
