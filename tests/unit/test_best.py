"""The best checkpoint is kept beside the latest ones, and is the last to fall back on."""

import errno
import json
from pathlib import Path

import pytest
from pyarrow import fs
from ray.train import Checkpoint

from hashnext.training import best
from hashnext.training.best import BEST, RECORD, KeepBest, lowest
from hashnext.training.surroundings import _older

FILES = fs.LocalFileSystem()


def report(run: Path, images: int, loss: float) -> Checkpoint:
    """What Ray Train does when a checkpoint is stored."""
    folder = run / f"checkpoint_2026-01-01_{images:04d}"
    folder.mkdir(parents=True)
    (folder / "state.pt").write_text(str(images))
    found = Checkpoint(str(folder), FILES)
    KeepBest().after_report(None, [{"loss": loss, "images_seen": images}], found)
    return found


def test_the_lowest_loss_is_kept_whatever_follows(tmp_path: Path) -> None:
    assert lowest(FILES, str(tmp_path / BEST)) == float("inf")
    for images, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, float("nan"))):
        found = report(tmp_path, images, loss)
    KeepBest().after_report(None, [{"loss": 0.5, "images_seen": 5}], None)
    for folder in tmp_path.glob("checkpoint_2*"):  # Ray Train may drop them all
        if folder != Path(found.path):
            (folder / "state.pt").unlink()
            folder.rmdir()
    assert (tmp_path / BEST / "state.pt").read_text() == "2"
    assert json.loads((tmp_path / BEST / RECORD).read_text()) == {"loss": 1.0, "images_seen": 2}
    assert lowest(FILES, str(tmp_path / BEST)) == 1.0


def test_a_run_falls_back_on_the_latest_before_the_best(tmp_path: Path) -> None:
    for images, loss in ((1, 1.0), (2, 2.0), (3, 3.0)):
        newest = report(tmp_path, images, loss)
    names = [Path(found.path).name[-4:] for found in _older(newest)]
    assert names == ["0002", "0001", "best"]


def test_a_full_disk_loses_no_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report(tmp_path, 1, 2.0)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(best, "_copy", full)
        report(tmp_path, 2, 1.0)
    assert (tmp_path / BEST / "state.pt").read_text() == "1"
    assert lowest(FILES, str(tmp_path / BEST)) == 2.0
    report(tmp_path, 3, 1.0)
    assert (tmp_path / BEST / "state.pt").read_text() == "3"
    assert not (tmp_path / f"{BEST}.tmp").exists()
