"""What Ray Train offers the loop, as far as it can be had without Ray."""

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray.train

from hashnext.training.heartbeat import Heartbeat
from hashnext.training.loop import Wish
from hashnext.training.surroundings import NOTICE_S, RaySurroundings, require_room


def test_a_checkpoint_is_not_copied_to_where_it_does_not_fit(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    state.write_bytes(b"all of it")
    require_room(tmp_path, tmp_path)
    statistics = os.statvfs(tmp_path)
    os.truncate(state, statistics.f_bfree * statistics.f_frsize + (1 << 30))  # sparse
    with pytest.raises(OSError, match=r"No space left .* MB needed, [\d,]+ MB free") as error:
        require_room(tmp_path, tmp_path)
    assert error.value.errno == errno.ENOSPC
    require_room(tmp_path, None)


def test_notices_are_looked_for_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the steps: at the first one after two seconds, and once for each notice."""
    around = RaySurroundings(None, Heartbeat(90), rank=0, world=1, neighbours=1, threads=1)
    clock, asked = [time.monotonic()], 0

    def notice() -> SimpleNamespace:
        nonlocal asked
        asked += 1
        return SimpleNamespace(preempted_node_ids=["a node"])

    monkeypatch.setattr(ray.train, "get_preemption_info", notice)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def steps(count: int, each_s: float) -> list[Wish]:
        wishes = []
        for _ in range(count):
            wishes.append(around.wish())
            assert around.totals(3.0, 4.0) == [3.0, 4.0]
            clock[0] += each_s
        return wishes

    assert steps(10, NOTICE_S / 20) == [Wish.GO_ON] * 10
    assert asked == 0
    assert steps(3, 20.0) == [Wish.GO_ON, Wish.GO_ON, Wish.SAVE]
    steps(1000, NOTICE_S / 100)
    assert 8 <= asked - 1 <= 12
