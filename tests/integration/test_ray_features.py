"""Features by Ray Data are those by threads, in the order of the set."""

import pyarrow as pa
import pytest
import torch

from hashnext.errors import DataError
from hashnext.evaluation import feature_cache
from hashnext.evaluation.crops import decode_crops
from hashnext.evaluation.feature_cache import cached_features
from hashnext.evaluation.features import BATCH, extract_features
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt, ResNeXtConfig, build
from tests.stripes import stripes

PREPROCESS = Preprocess(size=28)


@pytest.fixture(scope="module")
def network() -> ResNeXt:
    torch.manual_seed(0)
    return build(ResNeXtConfig(blocks=(1, 1, 1, 1), groups=4, width_per_group=4), 3)


def test_a_cluster_gives_the_same_features(
    ray_session: None, network: ResNeXt, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = stripes(BATCH + 3)
    here = extract_features(network, PREPROCESS, images)
    monkeypatch.setenv("RAY_ADDRESS", "auto")  # the session of the tests is joined already
    monkeypatch.setattr(feature_cache, "extract_features", None)
    there = cached_features(network, PREPROCESS, images)
    assert there.images == len(images)
    assert there.features.dtype == torch.float32
    assert there.features.numpy() == pytest.approx(here.numpy(), rel=0.05, abs=0.02)
    assert float(torch.cdist(there.features[:1], here).argmin()) == 0


def test_an_image_that_cannot_be_decoded_is_named() -> None:
    images = stripes(2)
    rows = {"row": [0, 1], "id": images.ids, "image": [images.images[0], images.images[1][:200]]}
    with pytest.raises(DataError, match="image of id 's1'"):
        decode_crops(pa.table(rows), 28, 0.875)
