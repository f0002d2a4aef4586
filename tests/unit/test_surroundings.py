"""What Ray Train offers the loop, as far as it can be had without Ray."""

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest
import ray.train
from pyarrow import fs

from hashnext.errors import StateError
from hashnext.shards.ledger import Ledger
from hashnext.training import checkpoint
from hashnext.training.checkpoint import TrainingState
from hashnext.training.heartbeat import Heartbeat
from hashnext.training.loop import Wish
from hashnext.training.surroundings import NOTICE_S, RaySurroundings, require_room

T = TypeVar("T")


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


class Between(RaySurroundings):
    """The first of two workers; the other one answers what the test says."""

    other: int = 0

    def gather(self, value: T) -> list[T]:
        """Both workers' values."""
        return [value, type(value)(self.other)]  # type: ignore[call-arg]

    def say(self, text: str) -> None:
        """Nobody listens."""


def test_workers_go_on_from_one_checkpoint_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of three, the second is broken; another worker could not read the latest."""
    for images in (1, 2, 3):
        folder = tmp_path / f"checkpoint_2026-01-01_{images}"
        folder.mkdir()
        state = TrainingState(images, Ledger.empty(1))
        kept = checkpoint.Checkpoint(model={}, optimiser={}, average=None, state=state)
        checkpoint.save(folder, kept)
    newest = ray.train.Checkpoint(str(folder), fs.LocalFileSystem())
    (tmp_path / "checkpoint_2026-01-01_2" / checkpoint.STATE).write_bytes(b"broken")
    monkeypatch.setattr(ray.train, "get_checkpoint", lambda: newest)
    around = Between(None, Heartbeat(90), rank=0, world=2, neighbours=2, threads=1)
    for other, images in ((0, 3), (2, 1)):
        around.other = other
        found = around.latest()
        assert found is not None
        assert found.state.images_seen == images
    around.other = 1  # it insists on the broken one
    with pytest.raises(StateError, match="neither this checkpoint nor any before it is whole"):
        around.latest()
