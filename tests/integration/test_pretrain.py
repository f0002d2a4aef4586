"""Pretraining under Ray Train: it learns, it continues, two workers do what one does."""

import json
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
import tyro
from conftest import Corpus

from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError, DataError, StateError
from hashnext.evaluation.predictions import Predictions
from hashnext.evaluation.thresholds import CalibrationConfig
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.inference.predictor import Predictor
from hashnext.models.initial_weights import read_weights
from hashnext.models.load_report import LOAD_REPORT
from hashnext.models.resnext import build
from hashnext.recipes import nano, resnext50_32x4d
from hashnext.registry.package import ModelPackage
from hashnext.registry.store import RunLogger, connect
from hashnext.settings import tracking_uri
from hashnext.storage import Folder
from hashnext.training.board import open_board
from hashnext.training.checkpoint import load
from hashnext.training.heartbeat import Heartbeat
from hashnext.training.local import LocalSurroundings, run_locally
from hashnext.training.loss import LossConfig
from hashnext.training.pretrain import plan
from hashnext.training.surroundings import RaySurroundings
from hashnext.training.worker import Stopped, _held_out, make_trainee, work
from hashnext.training.workers import WorkersConfig
from jobs.pretrain import CURVES, EXPERIMENT, MLFLOW_RUN, Pretrain, command_line, main


def small(images: int) -> PretrainConfig:
    """The nano recipe at 32 px, with a checkpoint every 640 images; smoothed labels keep the loss
    away from 0, where every curve would look the same."""
    config = nano().shortened(images)
    calm = replace(config.schedule, base_learning_rate=0.05)
    return replace(
        config, stream=replace(config.stream, size=32), checkpoint_images=640, log_images=128,
        bf16=False, loss=LossConfig(label_smoothing=0.1),
        schedule=calm,
    )  # fmt: skip


def job(corpus: Corpus, out: Path, images: int = 1280, **workers: Any) -> Pretrain:
    return Pretrain(
        shards=corpus.shards, vocabulary=corpus.vocabulary, out=str(out), recipe="nano",
        config=small(images), workers=WorkersConfig(**workers),
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(
    corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A finished run of one worker."""
    out = tmp_path_factory.mktemp("pretrain") / "run"
    return out, main(job(corpus, out))


def test_it_learns_more_than_the_commonest_tag(trained: tuple[Path, dict[str, Any]]) -> None:
    _, result = trained
    held_out = result["held_out"]
    assert held_out["precision_at_1"] > 0.9 > held_out["baseline_precision_at_1"]
    assert held_out["gain_over_baseline"]["low"] > 0
    assert result["counts"]["samples"] == 1280
    assert result["counts"]["expected_epoch"] > 0
    assert held_out["baseline"]["recall_at_5"] <= held_out["recall_at_5"]
    assert held_out["hierarchy"]["exact"] == pytest.approx(held_out["precision_at_1"])
    assert held_out["hierarchy"]["accuracy_by_depth"][0] == 1


def test_it_leaves_a_picture_and_thresholds(trained: tuple[Path, dict[str, Any]]) -> None:
    out, result = trained
    assert (out / "held_out.png").read_bytes().startswith(b"\x89PNG")
    package = ModelPackage.open(str(out / "model"))
    assert len(package.calibration["thresholds"]) == package.vocabulary.num_labels
    assert package.calibration["checked"] == result["held_out"]["thresholds"]
    assert package.calibration["temperature"] == result["held_out"]["temperature"]


def test_its_package_tags_images(trained: tuple[Path, dict[str, Any]], corpus: Corpus) -> None:
    import pyarrow.parquet as pq

    out, result = trained
    package = ModelPackage.open(str(out / "model"))
    assert package.lineage["ledger"] == result["ledger"]
    assert package.lineage["images_seen"] == 1280
    post = pq.read_table(corpus.posts).slice(1, 1).to_pylist()[0]
    (found,) = Predictor.load(str(out / "model")).tags([post["image"]], top_k=1)
    assert found[0].tag.hashtag.strip("#").startswith(post["hashtags"][0].strip("#").rstrip("s"))


def test_curves_are_in_mlflow(trained: tuple[Path, dict[str, Any]]) -> None:
    _, result = trained
    client = connect(tracking_uri())
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (run,) = [run for run in runs if run.data.tags.get("ledger") == result["ledger"]][:1]
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert len(losses) >= 4
    assert losses[-1].value < losses[0].value
    assert (trained[0] / CURVES).read_bytes().startswith(b"\x89PNG")
    assert {
        "images_per_s",
        "kl",
        "step_p95_s",
        "tflops",
        "data_wait",
        "learning_rate",
        "precision_at_1",
        "recall_at_5",
    } <= set(run.data.metrics)


def test_the_best_checkpoint_is_kept_beside_the_latest(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    run = trained[0] / "run"
    record = json.loads((run / "best" / "best.json").read_text())
    found = {load(folder).state.images_seen for folder in run.glob("checkpoint_2*")}
    assert load(run / "best").state.images_seen == record["images_seen"]
    assert found == {640, 1280}


class Impatient(LocalSurroundings):
    """Wants the run to end once the held-out posts are being predicted; keeps what is said."""

    held_out = False
    said = ""

    def say(self, text: str) -> None:
        self.said += text

    def progress(self, images_seen: int, note: str) -> None:
        self.held_out = "held-out" in note

    def stopping(self) -> bool:
        return self.held_out


def test_a_run_told_to_end_while_it_predicts_ends_and_continues(
    corpus: Corpus, tmp_path: Path
) -> None:
    planned = plan(small(64), Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary))
    around = Impatient(tmp_path, 1)
    assert work(planned.run, around, None) == Stopped(64)
    parts = ("memory", "weights", "gradients", "optimiser", "activations", "GiB$")
    assert re.match(r".* \d.*".join(parts), around.said), "the estimate, before the start"
    latest = around.latest()
    assert latest is not None
    outcome, _ = run_locally(planned.run, tmp_path)
    assert outcome.held_out is not None
    assert outcome.ledger == load(latest).state.ledger.digest


def test_every_worker_learns_that_the_run_shall_end(ray_session: None, tmp_path: Path) -> None:
    board = open_board(Folder.at(tmp_path))
    workers = [
        RaySurroundings(board, Heartbeat(90), rank=rank, world=2, neighbours=2, threads=1)
        for rank in range(2)
    ]
    assert not any(worker.stopping() for worker in workers)
    ray.get(board.stop.remote())
    workers[0].progress(64, "predicting held-out hashtags")
    deadline = time.monotonic() + 30
    while not all([worker.stopping() for worker in workers]):  # noqa: C419 - each has to ask
        assert time.monotonic() < deadline


def test_the_same_command_again_does_nothing(
    trained: tuple[Path, dict[str, Any]], corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    out, result = trained
    assert main(job(corpus, out)) == result
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(StateError, match=r"schedule\.images \(there 1280, now 640\)"):
        main(job(corpus, out, images=640))


def test_a_run_starts_from_a_package(
    trained: tuple[Path, dict[str, Any]], corpus: Corpus, tmp_path: Path
) -> None:
    initial = read_weights(str(trained[0] / "model"))
    shards, vocabulary = Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary)
    planned = plan(small(64), shards, vocabulary, initial)
    assert planned.loaded is not None
    assert planned.loaded.head, "the package's labels are those of the vocabulary"
    network = make_trainee(planned.run, LocalSurroundings(tmp_path, 1), torch.device("cpu")).network
    for name, value in network.state_dict().items():
        assert torch.equal(value, initial.state[name]), name
    with pytest.raises(DataError, match="does not fit this network"):
        plan(replace(small(64), model=resnext50_32x4d().model), shards, vocabulary, initial)


def test_as_many_held_out_posts_are_measured_as_the_config_says(
    ray_session: None, corpus: Corpus, tmp_path: Path
) -> None:
    config = replace(small(64), calibration=CalibrationConfig(posts=10))
    planned = plan(config, Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary))
    keys = planned.run.held_out.index.keys
    assert len(keys) > 10
    around = Noting(tmp_path, 1)
    found = _held_out(planned.run, make_trainee(planned.run, around, torch.device("cpu")), around)
    assert found is not None
    assert found.posts == 10
    assert sorted(around.measured) == sorted(keys.tolist())[:10]


def test_a_run_that_fails_leaves_its_curves(corpus: Corpus, tmp_path: Path) -> None:
    failing = job(corpus, tmp_path / "run", images=640)
    wild = replace(failing.config.schedule, base_learning_rate=1e30, warmup_images=0)
    config = replace(failing.config, schedule=wild, log_images=1)
    with pytest.raises(DataError, match=r"loss is .*; the last checkpoint is whole"):
        main(replace(failing, config=config))
    assert losses(tmp_path / "run")
    assert (tmp_path / "run" / CURVES).read_bytes().startswith(b"\x89PNG")


def test_all_parameters_that_do_not_fit_are_in_a_file(corpus: Corpus, tmp_path: Path) -> None:
    config = small(64)
    torch.save(build(replace(config.model, blocks=(1, 1, 1, 3)), 5).state_dict(), tmp_path / "w")
    starting = replace(
        job(corpus, tmp_path / "run"), initial_weights=str(tmp_path / "w"), config=config
    )
    with pytest.raises(DataError, match=r"and \d+ more; all of them in .*initial_weights\.json"):
        main(starting)
    found = json.loads((tmp_path / "run" / LOAD_REPORT).read_text())
    assert len(found["unexpected"]) > 8
    assert all(name.startswith("layer4.") for name in found["unexpected"])
    assert [each["name"] for each in found["wrong_shape"]] == ["fc.weight", "fc.bias"]
    assert found["source"] == str(tmp_path / "w")


def test_label_noise_on_the_command_line_reaches_the_stream(
    ray_session: None, corpus: Corpus
) -> None:
    folders = ["--shards", corpus.shards, "--vocabulary", corpus.vocabulary, "--out", "unused"]
    indices = {}
    for noise in ("0", "0.5"):
        parsed = tyro.cli(command_line(), args=["nano", *folders, "--label-noise", noise])
        run = plan(parsed.config, Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary)).run
        indices[noise] = (run.training.index, run.held_out.index)
    clean, noisy = indices["0"], indices["0.5"]
    assert (clean[0].keys == noisy[0].keys).all()
    assert (clean[1].labels == noisy[1].labels).all(), "held-out posts keep their labels"
    assert len(clean[0].labels) == len(noisy[0].labels) == len(clean[0])
    assert 0.4 < (clean[0].labels != noisy[0].labels).mean() < 0.6


@dataclass
class Noting(LocalSurroundings):
    """Notes the posts of which predictions are gathered."""

    measured: list[int] = field(default_factory=list)

    def gather(self, value: Any) -> list[Any]:
        if isinstance(value, Predictions):
            self.measured += value.keys.tolist()
        return [value]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_run_continues_to_the_same_ledger_along_the_same_curve(
    trained: tuple[Path, dict[str, Any]], corpus: Corpus, tmp_path: Path, workers: int
) -> None:
    out, result = trained
    stopped = tmp_path / "run"
    shutil.copytree(out, stopped)
    for name in ("result.json", "model", MLFLOW_RUN):
        path = stopped / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _forget_last_checkpoint(stopped / "run")
    continued = main(job(corpus, stopped, num_workers=workers, cpus=0.5))
    assert continued["ledger"] == result["ledger"]
    assert continued["counts"]["samples"] == 1280
    assert continued["counts"]["wasted"] == 640
    whole, rest = losses(out), losses(stopped)
    assert [*rest] == [step for step in whole if step > 640]
    expected = [whole[step] for step in rest]
    if workers == 1:
        assert [*rest.values()] == pytest.approx(expected, abs=1e-4)
    else:  # the batch norms of two workers see half a batch each
        assert np.mean([*rest.values()]) == pytest.approx(np.mean(expected), rel=0.15)


def losses(out: Path) -> dict[int, float]:
    """The curve that a run's MLflow run holds."""
    run_id = json.loads((out / MLFLOW_RUN).read_text())["run_id"]
    return dict(RunLogger(run_id=run_id).curve("loss"))


def _forget_last_checkpoint(run: Path) -> None:
    """Leave the run as a kill at image 1,000 would: with the checkpoint of image 640 only."""
    snapshot = run / "checkpoint_manager_snapshot.json"
    document = json.loads(snapshot.read_text())
    first, last = sorted(
        run.glob("checkpoint_2*"), key=lambda folder: load(folder).state.images_seen
    )
    assert load(first).state.images_seen == 640
    results = document["checkpoint_results"]
    document["checkpoint_results"] = [r for r in results if r["checkpoint_dir_name"] == first.name]
    document["latest_checkpoint_result"] = document["checkpoint_results"][0]
    document["checkpoint_report_indices"] = document["checkpoint_report_indices"][:1]
    document["current_report_index"] = document["checkpoint_report_indices"][0] + 1
    snapshot.write_text(json.dumps(document))
    shutil.rmtree(last)


def test_more_workers_than_the_cluster_can_hold_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"workers\.num-workers = 99: needs 99 CPUs"):
        main(job(corpus, tmp_path / "run", num_workers=99))
