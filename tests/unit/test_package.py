"""Model packages: written whole, verified when opened, refused by name when not."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2.functional import normalize

from hashnext.errors import ConfigError, DataError
from hashnext.images.decode import encode_jpeg
from hashnext.inference.predictor import Predictor
from hashnext.inference.tag import label_tags
from hashnext.models.resnext import build
from hashnext.registry.package import (
    CALIBRATION,
    CHECKSUMS,
    CONFIG,
    FILES,
    WEIGHTS,
    ModelPackage,
    Preprocess,
    write_package,
)  # fmt: skip
from hashnext.storage import Folder


@pytest.fixture(scope="module")
def predictor(tiny_package: ModelPackage) -> Predictor:
    return Predictor.load(tiny_package.folder.path)


@pytest.fixture
def copy(tiny_package: ModelPackage, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_package.folder.path, tmp_path / "copy"))


def test_weights_and_settings_survive_the_round_trip(
    tiny_package: ModelPackage, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model = build(tiny_package.config, tiny_package.vocabulary.num_labels)
    model.eval().to(memory_format=torch.channels_last)  # as training leaves it
    images = torch.randn(2, 3, 32, 32)
    written = write_package(
        Folder.at(tmp_path / "package"),
        state_dict=model.state_dict(),
        config=tiny_package.config,
        vocabulary=tiny_package.vocabulary,
        preprocess=Preprocess(size=48, crop_fraction=1.0),
        calibration={"temperature": 2.0},
        lineage={"dataset": "d", "recipe": "nano"},
    )
    opened = ModelPackage.open(str(tmp_path / "package"))
    torch.testing.assert_close(opened.build()(images), model(images))
    assert opened.preprocess == Preprocess(size=48, crop_fraction=1.0)
    assert opened.config == tiny_package.config
    assert opened.calibration == {"temperature": 2.0}
    assert opened.lineage["recipe"] == "nano"
    assert opened.lineage["vocabulary"] == tiny_package.vocabulary.fingerprint
    assert opened.fingerprint == written.fingerprint != tiny_package.fingerprint


def test_only_the_listed_files_are_written(tiny_package: ModelPackage) -> None:
    root = Path(tiny_package.folder.path)
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found == {*FILES, CHECKSUMS}


def test_rare_hashtags_are_in_no_file(tiny_package: ModelPackage) -> None:
    for table in (tiny_package.labels, tiny_package.decisions):
        text = json.dumps(table.to_pylist())
        assert "brownbear" in text
        assert "myprivatebear" not in text


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_named(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(DataError, match=f"{name}: corrupted"):
        ModelPackage.open(str(copy))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"{name}: missing"):
        ModelPackage.open(str(copy))


def test_a_package_without_checksums_was_never_finished(copy: Path) -> None:
    (copy / CHECKSUMS).unlink()
    with pytest.raises(DataError, match=r"not a model package; expected .*model\.safetensors"):
        ModelPackage.open(str(copy))


@pytest.mark.parametrize("text", ["{", "[]", '"model"', "7"])
def test_broken_checksums_are_refused(copy: Path, text: str) -> None:
    (copy / CHECKSUMS).write_text(text)
    with pytest.raises(DataError, match=r"corrupted|checksums\.json"):
        ModelPackage.open(str(copy))


def test_a_place_without_a_package_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: not a model package; expected"):
        ModelPackage.open(str(tmp_path / "nowhere"))


def test_weights_of_another_network_are_refused(copy: Path) -> None:
    config = json.loads((copy / CONFIG).read_text())
    _rewrite(copy, CONFIG, config | {"blocks": [1, 1, 2, 1]})
    with pytest.raises(DataError, match=f"{WEIGHTS}: does not fit"):
        ModelPackage.open(str(copy)).build()


def test_settings_of_another_version_are_refused(copy: Path) -> None:
    _rewrite(copy, CONFIG, {"blocks": [1, 1, 1, 1], "heads": 3})
    with pytest.raises(DataError, match="heads"):
        ModelPackage.open(str(copy))


@pytest.mark.parametrize("temperature", [0, -1.0, None, "1", float("inf"), float("nan")])
def test_the_temperature_must_be_a_positive_number(copy: Path, temperature: object) -> None:
    _rewrite(copy, CALIBRATION, {"temperature": temperature})
    with pytest.raises(ConfigError, match=r"calibration\.temperature"):
        ModelPackage.open(str(copy))


@pytest.mark.parametrize("activation", ["relu", None, 1])
def test_an_activation_that_is_none_is_refused(copy: Path, activation: object) -> None:
    _rewrite(copy, CALIBRATION, {"temperature": 1.0, "activation": activation})
    with pytest.raises(ConfigError, match=r"calibration\.activation.*softmax or sigmoid"):
        ModelPackage.open(str(copy))


def test_thresholds_go_with_the_package_and_old_ones_have_none(
    tiny_package: ModelPackage, copy: Path
) -> None:
    assert "thresholds" not in tiny_package.calibration
    thresholds = [0.4, None, 0, 1, None, None, None, 0.25]
    rich = {"temperature": 1.5, "precision": 0.8, "thresholds": thresholds}
    _rewrite(copy, CALIBRATION, rich)
    assert ModelPackage.open(str(copy)).calibration == rich


@pytest.mark.parametrize(
    ("thresholds", "rule"),
    [
        ([0.5] * 7, "thresholds = 7: must be a list of 8"),
        ({"0": 0.5}, "must be a list of 8"),
        ([None] * 7 + [1.5], r"thresholds\[7\] = 1.5: must be a probability or null"),
        ([float("nan")] + [None] * 7, r"thresholds\[0\]"),
        (["0.5"] + [None] * 7, r"thresholds\[0\] = '0.5'"),
    ],
)
def test_thresholds_out_of_place_are_refused(copy: Path, thresholds: object, rule: str) -> None:
    _rewrite(copy, CALIBRATION, {"temperature": 1.0, "thresholds": thresholds})
    with pytest.raises(ConfigError, match=rule):
        ModelPackage.open(str(copy))


def test_normalise_agrees_with_torchvision() -> None:
    images = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    preprocess = Preprocess(size=7)
    expected = normalize(images.permute(0, 3, 1, 2) / 255, preprocess.mean, preprocess.std)
    found = preprocess.normalise(images)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("key", "value"),
    [("size", 0), ("crop_fraction", 0.0), ("crop_fraction", 1.5), ("std", (1, 1, 0))],
)
def test_preprocess_names_what_is_wrong(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        Preprocess(**{"size": 8, key: value})  # type: ignore[arg-type]


def test_a_label_is_written_as_most_people_write_it(tiny_package: ModelPackage) -> None:
    bear = next(tag for tag in label_tags(tiny_package.vocabulary) if tag.name == "brown bear")
    assert bear.hashtag == "#brownbear"
    assert bear.aliases == ("#BrownBear", "#ursusarctos")
    assert bear.wnid == "n02132136"
    assert bear.parents[0] == "bear"


@given(top_k=st.integers(1, 12), min_confidence=st.floats(0, 1), seed=st.integers(0, 99))
def test_suggestions_are_the_surest_in_order(
    predictor: Predictor, top_k: int, min_confidence: float, seed: int
) -> None:
    row = np.random.default_rng(seed).dirichlet(np.ones(len(predictor.labels)) / 4)
    found = predictor.suggestions(row.astype(np.float32), top_k, min_confidence)
    kept = sorted((p for p in row.astype(np.float32) if p >= min_confidence), reverse=True)
    assert [suggestion.confidence for suggestion in found] == kept[:top_k]


def test_a_tag_is_confident_above_its_own_threshold(predictor: Predictor) -> None:
    row = np.array([0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0], np.float32)
    assert {tag.confident for tag in predictor.suggestions(row, 8, 0.0)} == {None}
    thresholds = [0.5, 0.31, None, 0.05, None, None, None, None]
    package = replace(predictor.package, calibration={"temperature": 1.0, "thresholds": thresholds})
    found = replace(predictor, package=package).suggestions(row, 4, 0.0)
    assert [tag.confident for tag in found] == [False, False, False, True]
    thresholds[1] = float(row[1])
    found = replace(predictor, package=package).suggestions(row, 4, 0.0)
    assert [tag.confident for tag in found] == [False, True, False, True]


def test_a_batch_gives_what_single_images_give(predictor: Predictor) -> None:
    rng = np.random.default_rng(0)
    images = [encode_jpeg(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)) for _ in range(3)]
    together = predictor.tags(images)
    for image, found in zip(images, together, strict=True):
        [alone] = predictor.tags([image])
        assert [s.tag for s in alone] == [s.tag for s in found]
        np.testing.assert_allclose(
            [s.confidence for s in alone], [s.confidence for s in found], rtol=1e-4
        )
        assert sum(s.confidence for s in found) == pytest.approx(1, abs=1e-5)
    assert predictor.tags([]) == []


def _rewrite(package: Path, name: str, value: object) -> None:
    """Replace a JSON file and its checksum, as a foreign writer would."""
    (package / name).write_text(json.dumps(value))
    checksums = json.loads((package / CHECKSUMS).read_text())
    checksums[name] = hashlib.sha256((package / name).read_bytes()).hexdigest()
    (package / CHECKSUMS).write_text(json.dumps(checksums))


def test_a_network_trained_with_sigmoids_answers_with_them(predictor: Predictor) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    calibration = predictor.package.calibration | {"activation": "sigmoid"}
    package = replace(predictor.package, calibration=calibration)
    shared = predictor.probabilities(pixels)
    alone = replace(predictor, package=package).probabilities(pixels)
    odds = alone / (1 - alone)
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), shared, rtol=1e-4)
    assert (alone.sum(1) > 1.5).all()
