"""`jobs.evaluate` on weights laid out as the release's are, against torchvision's own steps."""

import argparse
import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

from hashnext.errors import ConfigError, DataError
from hashnext.evaluation.labelled import read_labelled
from hashnext.evaluation.labelled_folder import ilsvrc_wnids
from hashnext.evaluation.lower_bound import LEAKS_FILE
from hashnext.registry.package import ModelPackage
from hashnext.storage import Folder
from jobs import evaluate
from jobs.evaluate import Evaluate
from tests.command_lines import REPO, parse

WNIDS = list(ilsvrc_wnids())
RIGHT, IN_FIVE = 5, 8
"""Images whose first answer is right, and whose first five hold the right one."""
SIZES = ((300, 260), (260, 300), (256, 256), (257, 400), (1000, 700), (90, 120))


@dataclass(frozen=True)
class Release:
    """Made-up weights, and twelve photos that they partly get right."""

    weights: str
    photos: str
    answers: list[list[int]]
    """What torchvision's network and transforms answer: the best five labels of each photo, in
    the order of the photos' ids."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("release")
    drawn = [_draw(number, folder / f"{number:02d}.jpg") for number in range(12)]
    batch = _batch(drawn)
    network, weights = _network(batch, folder)
    with torch.inference_mode():
        answers = network(batch).topk(5).indices.tolist()
    placed = {}
    for number, (path, best) in enumerate(zip(drawn, answers, strict=True)):
        absent = next(label for label in range(number, 1000) if label not in best)
        label = best[0] if number < RIGHT else best[3] if number < IN_FIVE else absent
        target = folder / "val" / WNIDS[label] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        placed[str(path.rename(target).relative_to(folder / "val"))] = best
    return Release(weights, str(folder / "val"), [placed[name] for name in sorted(placed)])


def _network(photos: torch.Tensor, folder: Path) -> tuple[ResNet, str]:
    """A small network of torchvision's that tells the photos apart, saved as in 2019."""
    torch.manual_seed(0)
    network = ResNet(Bottleneck, [1, 1, 1, 1], groups=8, width_per_group=4)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # its statistics become those of the photos
    torch.nn.init.normal_(network.fc.weight)
    with torch.no_grad():
        network(photos)
        network.eval()
        network.fc.bias -= network(photos).mean(0)
    path = folder / "unnamed"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return network, str(path.rename(folder / f"ig_resnext101_32x8-{sha256[:8]}.pth"))


def _draw(number: int, path: Path) -> Path:
    random = np.random.default_rng(number)
    coarse = random.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize(SIZES[number % len(SIZES)], Image.Resampling.BICUBIC)
    (image.convert("L") if number == 7 else image).save(path, quality=90)
    return path


def _batch(photos: Sequence[Path]) -> torch.Tensor:
    steps = Compose([
        Resize(256), CenterCrop(224), ToTensor(),
        Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ])  # fmt: skip
    return torch.stack([steps(Image.open(photo).convert("RGB")) for photo in photos])


@pytest.fixture(scope="module")
def finished(release: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluate, Any]:
    """A finished evaluation and its result; read in batches of 5."""
    job = Evaluate(
        initial_weights=release.weights, images=release.photos, batch=5,
        out=str(tmp_path_factory.mktemp("evaluate") / "out"),
    )  # fmt: skip
    return job, evaluate.main(job)


def predictions(out: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(Path(out) / "predictions.parquet").to_pylist()
    return rows


def test_the_answers_are_torchvisions(release: Release, finished: tuple[Evaluate, Any]) -> None:
    job, result = finished
    rows = predictions(job.out)
    assert [row["top5"] for row in rows] == release.answers
    assert len({row["top5"][0] for row in rows}) > 6, "else any order of images would pass"
    assert all(row["id"].startswith(WNIDS[row["label"]] + "/") for row in rows)
    assert (Path(job.out) / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    figures = result["evaluation"]
    assert figures["top1"]["mean"] == pytest.approx(RIGHT / 12)
    assert figures["top5"]["mean"] == pytest.approx(IN_FIVE / 12)
    assert figures["mean_class_top1"]["mean"] == pytest.approx(
        np.mean([each["top1"] for each in result["per_class"]])
    )
    for figure in figures.values():
        assert 0 <= figure["low"] <= figure["mean"] <= figure["high"] <= 1
    assert result["counts"]["images"] == sum(each["images"] for each in result["per_class"]) == 12


def test_the_result_says_what_was_measured(
    release: Release, finished: tuple[Evaluate, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    job, result = finished
    sha256 = hashlib.sha256(Path(release.weights).read_bytes()).hexdigest()
    assert result["weights"] | {
        "source": release.weights, "sha256": sha256, "licence": "CC-BY-NC-4.0",
        "num_labels": 1000, "blocks": [1, 1, 1, 1], "groups": 8, "width_per_group": 4,
    } == result["weights"]  # fmt: skip
    assert evaluate.main(replace(job, batch=7)) == result
    printed = capsys.readouterr().out
    assert "CC-BY-NC-4.0" in printed
    assert "nothing to do" in printed


def test_parquet_of_the_same_images_gives_the_same(
    release: Release, finished: tuple[Evaluate, Any], tmp_path: Path
) -> None:
    job, result = finished
    rows = predictions(job.out)
    table = pa.table({
        "id": [row["id"] for row in rows], "label": [row["label"] for row in rows],
        "image": [(Path(release.photos) / row["id"]).read_bytes() for row in rows],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "val.parquet", row_group_size=4)
    images = str(tmp_path / "val.parquet")
    again = evaluate.main(replace(job, images=images, out=str(tmp_path / "out")))
    assert again["evaluation"] == result["evaluation"]
    assert again["images"] == result["images"] == read_labelled(images).fingerprint


def test_images_seen_in_training_count_as_wrong(
    finished: tuple[Evaluate, Any], tmp_path: Path
) -> None:
    job, _ = finished
    correct = next(row["id"] for row in predictions(job.out) if row["correct"])
    report = Folder.at(tmp_path / "leakage")
    report.write_json("result.json", {"settings": {"dataset": "d"}})
    report.write_table(LEAKS_FILE, pa.table({"id": [correct], "held_out": [False]}))
    leaking = replace(job, leakage=report.location, out=str(tmp_path / "out"))
    assert evaluate.main(leaking)["leakage"] == {
        "leaked_test_images": 1, "top1_lower_bound": pytest.approx((RIGHT - 1) / 12),
        "searched": "d", "trained_on_but_not_searched": job.initial_weights,
    }  # fmt: skip
    report.write_table(LEAKS_FILE, pa.table({"id": ["another"], "held_out": [False]}))
    with pytest.raises(DataError, match=r"about other images: 1 of its ids .* 'another'"):
        evaluate.main(replace(leaking, out=str(tmp_path / "other")))


def test_the_readmes_command_is_accepted() -> None:
    text = (REPO / "README.md").read_text()
    (command,) = re.findall(r"^    uv run (-m jobs\.evaluate .*)$", text, re.MULTILINE)
    parse(["python", *shlex.split(command)])


def test_a_package_is_measured_by_its_label_ids(tiny_package: ModelPackage, tmp_path: Path) -> None:
    _draw(1, tmp_path / "a.jpg")
    table = {"image": [(tmp_path / "a.jpg").read_bytes()] * 3, "label": [0, 7, 3]}
    pq.write_table(pa.table(table), tmp_path / "val.parquet")
    job = Evaluate(
        initial_weights=tiny_package.folder.location, images=str(tmp_path / "val.parquet"),
        out=str(tmp_path / "out"), size=32, bf16=True,
    )  # fmt: skip
    result = evaluate.main(job)
    assert result["weights"]["sha256"] == tiny_package.fingerprint
    assert result["counts"] == {"images": 3, "classes": 3}
    with pytest.raises(ConfigError, match="batch = 0"):
        replace(job, batch=0)


def test_bad_weights_and_images_are_refused_before_the_work(
    release: Release, finished: tuple[Evaluate, Any], tmp_path: Path
) -> None:
    def refused(message: str, **changes: str) -> None:
        with pytest.raises(DataError, match=message):
            evaluate.main(replace(finished[0], out=str(tmp_path / "out"), **changes))
        assert not (tmp_path / "out").exists()

    state = torch.load(release.weights, weights_only=True)
    objects, headless = str(tmp_path / "objects.pth"), str(tmp_path / "headless.pth")
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, objects)
    torch.save({n: t for n, t in state.items() if not n.startswith("fc.")}, headless)
    damaged = tmp_path / "ig_resnext101_32x8-c38310e5.pth"
    damaged.write_bytes(Path(release.weights).read_bytes())
    refused(r"absent\.pth: there is no such file", initial_weights=str(tmp_path / "absent.pth"))
    refused(r"argparse\.Namespace, and only tensors are read", initial_weights=objects)
    refused("has no label head", initial_weights=headless)
    refused("its name says c38310e5", initial_weights=str(damaged))
    (tmp_path / "val" / "cat").mkdir(parents=True)
    (tmp_path / "val" / "dog").mkdir()
    for name in ("cat/a.jpg", "dog/b.jpg"):
        _draw(0, tmp_path / "val" / name)
    refused(r"2 folders of classes .* head has 1,000 outputs", images=str(tmp_path / "val"))


def test_an_image_that_cannot_be_decoded_is_named(
    finished: tuple[Evaluate, Any], tmp_path: Path
) -> None:
    path = tmp_path / "val" / WNIDS[0] / "half.jpg"
    path.parent.mkdir(parents=True)
    _draw(0, path)
    path.write_bytes(path.read_bytes()[:500])
    job = replace(finished[0], images=str(tmp_path / "val"), out=str(tmp_path / "out"))
    with pytest.raises(DataError, match=f"image of id '{WNIDS[0]}/half.jpg': truncated"):
        evaluate.main(job)
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["job"] == "evaluate"
    assert not (tmp_path / "out" / "result.json").exists()
