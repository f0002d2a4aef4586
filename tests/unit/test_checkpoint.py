"""Checkpoints: what is written comes back; what is damaged is refused."""

from pathlib import Path

import pytest
import torch

from hashnext.errors import StateError
from hashnext.shards.ledger import Ledger
from hashnext.training.checkpoint import STATE, Checkpoint, TrainingState, load, save


def some() -> Checkpoint:
    state = TrainingState(7, Ledger([2**126, 3], [4, 3]), {5: "OSError: gone"}, {"00ff": 5})
    return Checkpoint(
        model={"w": torch.arange(6.0).reshape(2, 3)}, average=None, state=state,
        optimiser={"state": {"w": {"momentum_buffer": torch.ones(2, 3)}}, "param_groups": [{}]},
    )  # fmt: skip


def test_everything_comes_back(tmp_path: Path) -> None:
    save(tmp_path, some())
    found = load(tmp_path)
    assert found.state == some().state
    assert torch.equal(found.evaluated["w"], some().model["w"])
    assert found.optimiser["state"]["w"]["momentum_buffer"].sum() == 6


def test_a_truncated_or_changed_file_is_refused(tmp_path: Path) -> None:
    save(tmp_path, some())
    data = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(data[:-100])
    with pytest.raises(StateError, match=r"state\.pt has SHA-256"):
        load(tmp_path)
    (tmp_path / STATE).unlink()
    with pytest.raises(StateError, match="not whole"):
        load(tmp_path)
