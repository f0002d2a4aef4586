"""The loop: half a run and its other half are a run; it stops when told; it survives bad luck."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flat_model import CPU, Told, batches_from, config, flat_stepper, make_batch

from hashnext.config import PretrainConfig
from hashnext.errors import StateError
from hashnext.shards.ledger import Ledger
from hashnext.training import checkpoint
from hashnext.training.checkpoint import TrainingState
from hashnext.training.loop import Loop, NotFinite, Wish
from hashnext.training.optimiser import OptimiserConfig
from hashnext.training.prefetch import DeviceBatch, upload
from hashnext.training.worker import Trainee

AVERAGED = config(optimiser=OptimiserConfig(average_images=32))


def attempt(
    settings: PretrainConfig, around: Told, batches: Iterator[DeviceBatch] | None = None
) -> tuple[bool, TrainingState, Trainee]:
    """Continue with what the folder holds, as `training.worker.work` does."""
    stepper = flat_stepper(settings)
    trainee = Trainee(stepper.model, stepper)
    state = TrainingState(0, Ledger.empty(settings.stream.streams))
    latest = around.latest()
    if latest is not None:
        state = trainee.continue_from(checkpoint.load(latest))
    loop = Loop(
        config=settings, stepper=stepper, around=around, snapshot=trainee.snapshot, flops=1e6
    )
    return loop.run(batches or batches_from(state.images_seen, settings), state), state, trainee


def weights(trainee: Trainee) -> torch.Tensor:
    return trainee.evaluated()["fc.weight"]


def losses(*arounds: Told) -> dict[float, float]:
    return {m["images_seen"]: m["loss"] for around in arounds for m in around.reports}


@pytest.mark.parametrize("settings", [config(), AVERAGED])
def test_a_run_in_two_halves_is_the_run(settings: PretrainConfig, tmp_path: Path) -> None:
    whole, first, second = Told(tmp_path / "a"), Told(tmp_path / "b"), Told(tmp_path / "b")
    done, state, undisturbed = attempt(settings, whole)
    assert done
    assert state.images_seen == 64
    first.wishes = [Wish.GO_ON] * 3 + [Wish.STOP]
    done, half, _ = attempt(settings, first)
    assert not done
    assert half.images_seen == 32
    done, again, continued = attempt(settings, second)
    assert done
    assert again.ledger.digest == state.ledger.digest
    assert losses(first, second) == losses(whole)
    assert torch.equal(weights(continued), weights(undisturbed))


def test_a_wish_to_save_keeps_a_checkpoint_and_goes_on(tmp_path: Path) -> None:
    around = Told(tmp_path, wishes=[Wish.SAVE])
    feed = itertools.islice(batches_from(0, config()), 1)
    with pytest.raises(StopIteration):
        attempt(config(), around, feed)
    latest = around.latest()
    assert latest is not None
    assert checkpoint.load(latest).state.images_seen == 8


def test_a_loss_that_is_not_finite_names_the_posts_and_changes_nothing(tmp_path: Path) -> None:
    stepper = flat_stepper(config())
    before = stepper.model.state_dict()["fc.weight"].clone()
    images = torch.from_numpy(make_batch(8).images).float()
    images[3, 0, 0, 0] = float("nan")
    batch = make_batch(8)
    spoilt = replace(upload(batch, CPU), images=images)
    loop = Loop(
        config=config(), stepper=stepper, around=Told(tmp_path),
        snapshot=Trainee(stepper.model, stepper).snapshot, flops=0.0,
    )  # fmt: skip
    with pytest.raises(NotFinite, match=r"loss is nan.* at image 0, learning rate") as found:
        loop.run(iter([spoilt]), TrainingState(0, Ledger.empty(4)))
    assert found.value.keys == [int(batch.keys[3])]
    assert torch.equal(stepper.model.state_dict()["fc.weight"], before)


class FullDisk(Told):
    """No checkpoint can be written before image 40."""

    def report(self, metrics: dict[str, float], write: object) -> bool:
        if write is not None and metrics["images_seen"] < 40:
            return super().report(metrics, _to_a_full_disk)
        return super().report(metrics, write)


def _to_a_full_disk(folder: Path) -> None:
    (folder / checkpoint.STATE).symlink_to("/dev/full")
    trainee = flat_stepper(config())
    snapshot = Trainee(trainee.model, trainee).snapshot(TrainingState(0, Ledger.empty(4)))
    snapshot(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_costs_checkpoints_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around = FullDisk(tmp_path)
    done, _, _ = attempt(config(), around)
    assert done
    assert capsys.readouterr().err.count("No space left on device") == 2
    latest = around.latest()
    assert latest is not None
    assert checkpoint.load(latest).state.images_seen == 64


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_last_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    class Fuller(FullDisk):
        def report(self, metrics: dict[str, float], write: object) -> bool:
            return super().report({**metrics, "images_seen": 8}, write)

    with pytest.raises(StateError, match="checkpoint of image 64 could not be written"):
        attempt(config(), Fuller(tmp_path))


def test_what_is_reported(tmp_path: Path) -> None:
    around = Told(tmp_path)
    attempt(config(), around)
    last = around.reports[-1]
    assert last["kl"] == pytest.approx(last["loss"] - np.log(2), abs=1e-5)
    assert 0 < last["step_p50_s"] <= last["step_p95_s"]
    assert last["tflops"] == pytest.approx(last["images_per_s"] * 1e-6)
    assert last["learning_rate"] > 0


def test_a_step_is_timed_without_the_wait_for_its_data(tmp_path: Path) -> None:
    def slow() -> Iterator[DeviceBatch]:
        for batch in batches_from(0, config()):
            time.sleep(0.2)
            yield batch

    around = Told(tmp_path)
    attempt(config(), around, slow())
    last = around.reports[-1]
    assert last["step_p50_s"] < 0.1
    assert last["data_wait"] > 0.5


def test_a_broken_checkpoint_gives_way_to_that_of_the_same_moment(tmp_path: Path) -> None:
    first, second = Told(tmp_path), Told(tmp_path)
    attempt(config(), first)
    latest = first.latest()
    assert latest is not None
    (latest / checkpoint.STATE).write_bytes(b"")
    assert first.latest() is None
    done, _, _ = attempt(config(), second)
    assert done
    assert second.latest() == latest
