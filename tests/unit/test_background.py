"""Work beside the work: it repeats until its block ends, and gives way to who needs the cores."""

import os
import subprocess
import sys
import time

import pytest

from hashnext.background import repeating

GIVE_WAY_AND_TELL = """
import os
from hashnext.background import give_way
give_way()
print(os.sched_getscheduler(0) == os.SCHED_IDLE)
"""


def test_nothing_is_repeated_after_the_block() -> None:
    calls = []
    with repeating(lambda: calls.append(time.monotonic()), 0.01):
        while len(calls) < 3:
            time.sleep(0.01)
    count = len(calls)
    time.sleep(0.05)
    assert len(calls) == count


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="the idle class is Linux's")
def test_who_gives_way_is_of_the_idle_class() -> None:
    found = subprocess.run(
        [sys.executable, "-c", GIVE_WAY_AND_TELL], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "True"
