"""Features are computed once for a network, an input and a set of images, and never stale."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hashnext.evaluation.feature_cache import FOLDER, cached_features, fingerprint
from hashnext.evaluation.features import extract_features
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt, ResNeXtConfig, build
from tests.stripes import stripes

PREPROCESS = Preprocess(size=28)


def network(seed: int = 0, groups: int = 4) -> ResNeXt:
    torch.manual_seed(seed)
    return build(ResNeXtConfig(blocks=(1, 1, 1, 1), groups=groups, width_per_group=4), 3)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder, in a home of the test's own."""
    monkeypatch.setenv("HASHNEXT_HOME", str(tmp_path))
    return tmp_path / FOLDER


def test_the_second_time_nothing_is_run(kept: Path) -> None:
    images = stripes(5)
    first = cached_features(network(), PREPROCESS, images)
    again = cached_features(network(), PREPROCESS, images)
    assert (first.images, again.images) == (5, 0)
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.features, extract_features(network(), PREPROCESS, images))
    assert len(list(kept.iterdir())) == 1


def test_what_the_features_depend_on_is_in_the_name(kept: Path) -> None:
    images = stripes(2)
    cached_features(network(), PREPROCESS, images)
    assert cached_features(network(1), PREPROCESS, images).images == 2
    assert cached_features(network(), Preprocess(size=32), images).images == 2
    assert cached_features(network(), PREPROCESS, stripes(1)).images == 1
    assert cached_features(network().to(memory_format=torch.channels_last), PREPROCESS, images)
    assert len(list(kept.iterdir())) == 4


def test_only_ids_and_features_are_kept(kept: Path) -> None:
    cached_features(network(), PREPROCESS, stripes(3))
    (file,) = kept.iterdir()
    table = pq.read_table(file)
    assert table.column_names == ["id", "features"]
    assert table["id"].to_pylist() == ["s0", "s1", "s2"]
    assert len(table["features"][0]) == 2048


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more"])
def test_a_damaged_file_is_written_anew(kept: Path, damage: bytes) -> None:
    images = stripes(3)
    whole = cached_features(network(), PREPROCESS, images)
    (file,) = kept.iterdir()
    file.write_bytes(damage)
    again = cached_features(network(), PREPROCESS, images)
    assert again.images == 3
    assert torch.equal(again.features, whole.features)
    assert cached_features(network(), PREPROCESS, images).images == 0


def test_a_fingerprint_follows_weights_and_layers() -> None:
    model = network()
    before = fingerprint(model)
    assert fingerprint(network()) == before
    with torch.no_grad():
        model.layer1[0].bn1.running_mean[3] += np.float32(1e-3)
    assert fingerprint(model) != before
    strided = network()
    strided.maxpool = torch.nn.Identity()
    assert fingerprint(strided) != before, "no weight tells it"
