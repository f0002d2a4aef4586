"""`jobs.transfer` from the command line's types to its files, on real labelled photos."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.evaluation.few_shot import FewShotConfig
from hashnext.evaluation.finetune import FinetuneConfig
from hashnext.evaluation.labelled import read_labelled
from hashnext.evaluation.lower_bound import LEAKS_FILE
from hashnext.evaluation.transfer import selection_score
from hashnext.registry.gates import TransferFigure
from hashnext.registry.package import ModelPackage
from hashnext.storage import Folder
from jobs import transfer
from jobs.transfer import TransferJob, open_subject

Cut = Callable[[str, int], str]


@pytest.fixture(scope="module")
def cut(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """Writes the photos of the first eight classes, at most so many a class; returns the path."""
    folder = tmp_path_factory.mktemp("probe")

    def write(part: str, per_class: int) -> str:
        table = pq.read_table(real_data / "transfer" / f"tiny_imagenet_{part}.parquet")
        labels = table["label"].to_numpy()
        rows = np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(8)])
        path = folder / f"{part}_{per_class}.parquet"
        pq.write_table(table.take(pa.array(rows)), path)
        return str(path)

    return write


@pytest.fixture(scope="module")
def untrained(cut: Cut, tmp_path_factory: pytest.TempPathFactory) -> tuple[TransferJob, Any]:
    """A finished transfer of `nano` with its initial weights, and its result."""
    job = TransferJob(
        model="random:nano", train=cut("train", 30), test=cut("test", 20),
        out=str(tmp_path_factory.mktemp("untrained") / "out"),
    )  # fmt: skip
    return job, transfer.main(job)


def test_the_result_is_whole_and_agrees_with_the_predictions(
    untrained: tuple[TransferJob, Any],
) -> None:
    job, result = untrained
    predictions = pq.read_table(Path(job.out) / "predictions.parquet")
    figure = TransferFigure.read(job.out)
    correct = predictions["correct"].to_numpy()
    assert figure.top1 == pytest.approx(correct.mean())
    assert figure.low < figure.top1 < figure.high
    assert figure.model == "random:nano seed 0"
    assert figure.top1 > 1 / 8, "even initial weights tell photos apart better than chance"
    assert result["mean_class_top1"]["low"] < result["mean_class_top1"]["mean"] < figure.high + 0.1
    assert result["top5"]["mean"] == pytest.approx(
        np.mean([row["label"] in row["top5"] for row in predictions.to_pylist()])
    )
    assert result["num_test"] == len(predictions) == sum(r["images"] for r in result["per_class"])
    assert result["num_classes"] == 8
    assert result["converged"]
    assert result["images_extracted"] == 8 * (30 + 20)
    assert predictions["id"].to_pylist() == pq.read_table(job.test)["id"].to_pylist()
    assert all(row["top5"][0] == row["label"] for row in predictions.to_pylist() if row["correct"])


def test_images_seen_in_training_count_as_wrong(
    untrained: tuple[TransferJob, Any], tmp_path: Path
) -> None:
    job, result = untrained
    predictions = pq.read_table(Path(job.out) / "predictions.parquet").to_pylist()
    leaked = [row["id"] for row in predictions if row["correct"]][:3]
    report = Folder.at(tmp_path / "leakage")
    report.write_json("result.json", {"settings": {"dataset": "d"}})
    report.write_table(LEAKS_FILE, pa.table({"id": leaked, "held_out": [False] * 3}))
    found = transfer.main(replace(job, leakage=report.location, out=str(tmp_path / "out")))
    assert found["transfer"] == result["transfer"]
    lower = result["transfer"]["top1"] - 3 / len(predictions)
    assert found["leakage"] == {
        "leaked_test_images": 3, "top1_lower_bound": pytest.approx(lower),
        "searched": "d", "trained_on_but_not_searched": None,
    }  # fmt: skip


def test_the_same_command_again_does_nothing(
    untrained: tuple[TransferJob, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    job, result = untrained
    assert transfer.main(job) == result
    assert "nothing to do" in capsys.readouterr().out


def test_another_seed_against_the_first_as_baseline(
    untrained: tuple[TransferJob, Any], tmp_path: Path
) -> None:
    job, result = untrained
    found = transfer.main(replace(job, out=str(tmp_path / "out"), seed=1, baseline=job.out))
    difference = found["over_baseline"]
    assert difference["mean"] == pytest.approx(
        found["transfer"]["top1"] - result["transfer"]["top1"]
    )
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert difference["excludes_zero"] == (difference["low"] > 0 or difference["high"] < 0)


def test_a_baseline_on_other_images_is_refused_before_the_work(
    untrained: tuple[TransferJob, Any], cut: Cut, tmp_path: Path
) -> None:
    job, _ = untrained
    other = replace(job, test=cut("test", 15), out=str(tmp_path / "out"), baseline=job.out)
    with pytest.raises(DataError, match="another test set; 40 ids"):
        transfer.main(other)
    assert not (tmp_path / "out").exists()
    with pytest.raises(StateError, match="not the --out of a finished"):
        transfer.main(replace(other, baseline=str(tmp_path)))


def test_an_unknown_recipe_is_refused(untrained: tuple[TransferJob, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recipe = 'giga'"):
        transfer.main(replace(untrained[0], model="random:giga", out=str(tmp_path / "out")))


@pytest.mark.parametrize("mode", ["knn", "few_shot"])
def test_other_modes_take_the_features_that_are_kept(
    untrained: tuple[TransferJob, Any], tmp_path: Path, mode: Literal["knn", "few_shot"]
) -> None:
    job, _ = untrained
    other = replace(
        job, mode=mode, few_shot=FewShotConfig(shots=(1, 10), draws=2), baseline=job.out,
        out=str(tmp_path / "out"),
    )  # fmt: skip
    result = transfer.main(other)
    figure, predictions = (
        TransferFigure.read(other.out),
        pq.read_table(tmp_path / "out" / "predictions.parquet"),
    )
    assert result["images_extracted"] == 0
    assert figure.top1 == pytest.approx(predictions["correct"].to_numpy().mean())
    assert figure.top1 > 1 / 8
    assert figure.probe.startswith("knn " if mode == "knn" else "few_shot 10 ")
    assert result["over_baseline"]["low"] < result["over_baseline"]["high"]
    assert ("few_shot.draws" in result["settings"]) == (mode == "few_shot")
    assert (tmp_path / "out" / "transfer.png").read_bytes().startswith(b"\x89PNG")


def test_finetuning_on_a_tiny_set(cut: Cut, tmp_path: Path) -> None:
    job = TransferJob(
        model="random:nano", train=cut("train", 5), test=cut("test", 5), mode="finetune",
        finetune=FinetuneConfig(
            epochs=1, batch=16, learning_rates=(0.05, 0.005), weight_decays=(0.01,)
        ),
        out=str(tmp_path / "out"),
    )  # fmt: skip
    result = transfer.main(job)
    assert result["learning_rate"] in (0.05, 0.005)
    assert result["weight_decay"] == 0.01
    assert [each["learning_rate"] for each in result["grid"]] == [0.05, 0.005]
    assert result["selection_top1"] == max(each["selection_top1"] for each in result["grid"])
    assert result["settings"]["finetune.epochs"] == 1
    assert result["transfer"]["probe"].startswith("finetune ")
    assert result["num_test"] == 40


def test_a_package_is_measured_with_its_own_weights_and_input(
    untrained: tuple[TransferJob, Any], tiny_package: ModelPackage, tmp_path: Path
) -> None:
    job, _ = untrained
    found = transfer.main(
        replace(job, model=tiny_package.folder.location, out=str(tmp_path / "out"))
    )
    assert found["transfer"]["model"] == tiny_package.fingerprint
    subject = open_subject(tiny_package.folder.location, seed=0)
    assert subject.preprocess == tiny_package.preprocess
    for name, weight in tiny_package.build().state_dict().items():
        assert torch.equal(subject.network.state_dict()[name], weight)


def test_the_sweeps_score_is_the_reports_selection_figure(
    untrained: tuple[TransferJob, Any],
) -> None:
    job, result = untrained
    subject = open_subject(job.model, job.seed)
    score = selection_score(subject.network, subject.preprocess, read_labelled(job.train))
    assert score["selection_top1"] == pytest.approx(result["selection_top1"])
    assert score["regularisation"] == result["regularisation"]
