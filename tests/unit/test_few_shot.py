"""Few-shot accuracy: which images are drawn, and that more of them help."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashnext.errors import ConfigError
from hashnext.evaluation import transfer_plot
from hashnext.evaluation.few_shot import FewShotConfig, draw_shots, few_shot_transfer
from hashnext.evaluation.labelled import LabelledSet
from hashnext.evaluation.probe import fit_probe
from hashnext.evaluation.transfer import TransferTask
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXtConfig, build
from tests.stripes import stripes


def numbered(labels: list[int]) -> LabelledSet:
    return LabelledSet(
        ids=[f"x{i}" for i in range(len(labels))], images=[b"x"] * len(labels),
        labels=np.array(labels, np.int64), fingerprint="",
    )  # fmt: skip


@given(st.permutations([3] * 5 + [8] * 9 + [9] * 4), st.integers(1, 3), st.integers(0, 99))
def test_so_many_of_each_class_and_more_shots_keep_the_fewer(
    labels: list[int], shots: int, seed: int
) -> None:
    images = numbered(labels)
    rows = draw_shots(images, shots, seed, draw=0)
    assert images.labels[rows].tolist() == [3] * shots + [8] * shots + [9] * shots
    assert len(set(rows.tolist())) == 3 * shots
    assert set(rows.tolist()) <= set(draw_shots(images, shots + 1, seed, draw=0).tolist())


def test_draws_and_seeds_differ_and_the_order_of_the_file_does_not_matter() -> None:
    images = numbered([0, 1] * 50)
    drawn = {tuple(draw_shots(images, 5, seed, draw)) for seed in (0, 1) for draw in range(3)}
    assert len(drawn) == 6
    backwards = images.where(np.ones(100, bool))
    backwards.ids.reverse()
    backwards.labels[:] = images.labels[::-1]
    assert {images.ids[row] for row in draw_shots(images, 5, 0, 0)} == {
        backwards.ids[row] for row in draw_shots(backwards, 5, 0, 0)
    }


def test_figures_agree_with_the_predictions_and_can_be_drawn() -> None:
    torch.manual_seed(0)
    model = build(ResNeXtConfig(blocks=(1, 1, 1, 1), groups=4, width_per_group=4), 1)
    task = TransferTask(train=stripes(24), test=stripes(8))
    config = FewShotConfig(shots=(1, 8), draws=3)
    found = few_shot_transfer(model, Preprocess(size=28), task, config, seed=0)
    table, few = found.predictions, found.figures["few_shot"]
    for shots in (1, 8):
        shares = table[f"correct_at_{shots}"].to_numpy()
        assert few[str(shots)]["top1"] == pytest.approx(shares.mean())
        assert few[str(shots)]["top1"] == pytest.approx(np.mean(few[str(shots)]["draws"]))
        assert {round(3 * share, 6) for share in shares} <= {0, 1, 2, 3}
    assert found.figures["top1"] == few["8"]["top1"] > 0.9
    assert table["correct"].to_pylist() == table["correct_at_8"].to_pylist()
    picture = transfer_plot.plot(found.figures, "few_shot", found.figures["per_class"])
    assert Image.open(io.BytesIO(picture)).width > 1000


def test_a_class_with_too_few_images_is_named() -> None:
    task = TransferTask(train=numbered([0] * 20 + [7] * 3), test=numbered([0, 7]))
    model = build(ResNeXtConfig(blocks=(1, 1, 1, 1)), 1)
    with pytest.raises(ConfigError, match=r"few-shot\.shots = \(1, 5\): label 7 has 3 training"):
        few_shot_transfer(model, Preprocess(size=28), task, FewShotConfig(shots=(1, 5)), seed=0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shots", ()),
        ("shots", (0, 1)),
        ("shots", (5, 1)),
        ("shots", (1, 1)),
        ("draws", 0),
        ("regularisation", 0.0),
    ],
)
def test_settings_out_of_range(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"few-shot\.{key}"):
        FewShotConfig(**{key: value})  # type: ignore[arg-type]


def test_a_shared_scale_withstands_a_feature_that_hardly_varied() -> None:
    features = torch.tensor([[1.0, 0.0], [-1.0, 1e-5], [1.1, 0.0], [-0.9, 0.0]])
    targets = torch.tensor([0, 1, 0, 1])
    query = torch.tensor([[1.0, 1.0]])  # the second feature was silent by chance
    own = fit_probe(features, targets, 2, 1.0).logits(query)
    shared = fit_probe(features, targets, 2, 1.0, shared_scale=True).logits(query)
    assert int(shared.argmax()) == 0
    assert int(own.argmax()) == 1
