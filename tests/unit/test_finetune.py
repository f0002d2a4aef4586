"""Fine-tuning on a handful of drawn images: it learns, repeats, and leaves its input alone."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from hashnext.errors import ConfigError, DataError
from hashnext.evaluation import finetune as module
from hashnext.evaluation.features import Crop, decode_cropped, extract_features, forward
from hashnext.evaluation.finetune import (
    GIB,
    FinetuneConfig,
    Setting,
    augment,
    decoded,
    finetune,
)
from hashnext.images.decode import RGB
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt, ResNeXtConfig, build
from tests.stripes import stripes

PREPROCESS = Preprocess(size=28)
SETTING = Setting(learning_rate=0.02, weight_decay=1e-4)


@pytest.fixture(scope="module")
def network() -> ResNeXt:
    torch.manual_seed(0)
    return build(ResNeXtConfig(blocks=(1, 1, 1, 1), groups=4, width_per_group=4), 3)


def test_learns_stripes_and_leaves_the_model_as_it_was(network: ResNeXt) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train = stripes(48)
    config = FinetuneConfig(epochs=4, batch=16)
    tuned = finetune(network, PREPROCESS, train, config, SETTING, seed=0)
    logits = forward(tuned, tuned, PREPROCESS, train, "test")
    assert logits.shape == (48, 2)
    right = train.classes[logits.argmax(1).numpy()] == train.labels
    assert right.mean() > 0.9
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_the_same_seed_gives_the_same_weights(network: ResNeXt) -> None:
    train = stripes(6)
    config = FinetuneConfig(epochs=1, batch=4)
    weights = [
        finetune(network, PREPROCESS, train, config, SETTING, seed).fc.weight for seed in (1, 1, 2)
    ]
    assert torch.allclose(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])


def test_images_beyond_the_limit_are_decoded_batch_by_batch(
    network: ResNeXt, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = stripes(10)
    taken = 10 * 32 * 32 * 3 / GIB
    kept, anew = (decoded(train, PREPROCESS, limit) for limit in (taken, taken * 0.99))
    rows = torch.tensor([7, 0, 7])
    assert torch.equal(kept(rows), anew(rows))
    asked: list[int] = []

    def counted(images: Sequence[bytes], ids: Sequence[str], crop: Crop) -> Iterator[RGB]:
        asked.append(len(images))
        return decode_cropped(images, ids, crop)

    monkeypatch.setattr(module, "decode_cropped", counted)
    weights = [
        finetune(network, PREPROCESS, train, config, SETTING, 0).fc.weight
        for config in (
            FinetuneConfig(epochs=2, batch=5),
            FinetuneConfig(epochs=2, batch=5, memory_gib=0),
        )
    ]
    assert asked == [10, 5, 5, 5, 5]
    assert torch.allclose(weights[0], weights[1])


def test_the_grid_pairs_every_rate_with_every_decay() -> None:
    grid = FinetuneConfig(learning_rates=(0.1, 0.01), weight_decays=(0.0, 1e-4)).grid
    assert [(each.learning_rate, each.weight_decay) for each in grid] == [
        (0.1, 0.0), (0.1, 1e-4), (0.01, 0.0), (0.01, 1e-4),
    ]  # fmt: skip


def test_weight_decay_decays_the_weights(network: ResNeXt) -> None:
    norms = [
        finetune(
            network, PREPROCESS, stripes(8), FinetuneConfig(epochs=1, batch=8),
            Setting(learning_rate=0.01, weight_decay=decay), 0,
        ).layer4[0].conv2.weight.norm().item()
        for decay in (0.0, 1.0)
    ]  # fmt: skip
    assert norms[1] < norms[0]


def test_windows_are_cut_out_of_their_image_and_some_mirrored() -> None:
    generator = torch.Generator().manual_seed(0)
    coordinates = torch.arange(100, dtype=torch.uint8).reshape(1, 10, 10, 1).expand(200, 10, 10, 3)
    windows = augment(coordinates, 7, generator)[..., 0].int()
    assert windows.shape == (200, 7, 7)
    steps = windows.diff(dim=2)
    assert set(steps.unique().tolist()) == {-1, 1}
    assert (windows.diff(dim=1) == 10).all()
    mirrored = (steps[:, 0, 0] == -1).float().mean()
    assert 0.35 < float(mirrored) < 0.65
    assert len(windows.amin((1, 2)).unique()) == 16, "every place in a margin of 3 pixels occurs"


def test_features_follow_the_evaluation_crop(network: ResNeXt) -> None:
    images = stripes(5)
    found = extract_features(network, PREPROCESS, images)
    assert found.shape == (5, 2048)
    assert found.dtype == torch.float32
    again = extract_features(network, PREPROCESS, images.where(np.arange(5) == 3))
    assert again[0].numpy() == pytest.approx(found[3].numpy(), rel=0.05, abs=0.02)


def test_an_image_that_cannot_be_decoded_is_named(network: ResNeXt) -> None:
    images = stripes(4)
    images.images[2] = images.images[2][:200]
    with pytest.raises(DataError, match="image of id 's2'"):
        extract_features(network, PREPROCESS, images)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch", 1),
        ("learning_rates", ()),
        ("momentum", 1.0),
        ("weight_decays", (1e-4, -1.0)),
        ("weight_decays", ()),
        ("memory_gib", -1.0),
    ],
)
def test_settings_out_of_range(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"finetune.{key.replace('_', '-')}"):
        FinetuneConfig(**{key: value})  # type: ignore[arg-type]
