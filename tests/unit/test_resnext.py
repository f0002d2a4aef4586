"""The ResNeXt family: torchvision's network and names, the paper's parameter counts."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnext50_32x4d, resnext101_32x8d

from hashnext.errors import ConfigError
from hashnext.models.resnext import BatchNorm, Pointwise, ResNeXtConfig, build
from hashnext.recipes import RECIPES, recipe

SMALL = ResNeXtConfig(blocks=(1, 1, 1, 1), groups=8)
FAMILY = {
    "resnext50_32x4d": (25.03, 4.23),
    "resnext101_32x4d": (44.18, 7.97),
    "resnext101_32x8d": (88.79, 16.41),
    "resnext101_32x16d": (194.03, 36.16),
    "resnext101_32x32d": (468.53, 87.11),
    "resnext101_32x48d": (828.41, 153.31),
}
"""Millions of parameters with a head of 1,000, and billions of multiply-adds at 224 px: of the
first torchvision's documented figures, of the others computed from the paper's layer table."""


def test_equals_torchvision_with_its_weights() -> None:
    theirs = resnext50_32x4d(weights=None).eval()
    ours = build(ResNeXtConfig(), 1000).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))
        torch.testing.assert_close(ours.fc(ours.features(images)), theirs(images))


@pytest.mark.parametrize(("name", "figures"), FAMILY.items())
def test_sizes_are_the_papers(name: str, figures: tuple[float, float]) -> None:
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.inference_mode(), counter:
        model = build(recipe(name).model, 1000).eval()
        model(torch.empty(1, 3, 224, 224, device="meta"))
    parameters = sum(p.numel() for p in model.parameters())
    macs = counter.get_total_flops() / 2  # a multiply-add is two operations
    assert (round(parameters / 1e6, 2), round(macs / 1e9, 2)) == figures


def test_parameters_are_named_and_shaped_as_torchvisions() -> None:
    with torch.device("meta"):
        theirs = resnext101_32x8d(weights=None).state_dict()
        ours = build(recipe("resnext101_32x8d").model, 1000).state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_and_runs(name: str) -> None:
    config = recipe(name)
    with torch.device("meta"):
        model = build(config.model, 10)
        size = config.stream.size
        assert model(torch.empty(2, 3, size, size, device="meta")).shape == (2, 10)


def test_the_small_stem_keeps_the_resolution() -> None:
    model = build(replace(SMALL, small_stem=True), 10)
    assert isinstance(model.maxpool, nn.Identity)
    assert model.layer1(model.conv1(torch.zeros(1, 3, 32, 32))).shape[-1] == 32


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [1, 4, 7])
def test_a_pointwise_convolution_is_a_convolution(stride: int, side: int) -> None:
    theirs = nn.Conv2d(6, 10, 1, stride, bias=False)
    ours = Pointwise.of(theirs)
    images = torch.randn(3, 6, side, side).to(memory_format=torch.channels_last)
    found = []
    for conv in (theirs, ours):
        seen = images.clone().requires_grad_()
        out = conv(seen)
        found.append((out, *torch.autograd.grad(out.square().sum(), [seen, conv.weight])))
    assert found[1][0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found[1], found[0])


def test_one_image_whose_maps_end_in_one_pixel_can_be_learnt_from() -> None:
    network = build(recipe("nano").model, 10).train()
    last = network.layer4[0].bn3
    network(torch.randn(8, 3, 32, 32))
    before = {name: value.clone() for name, value in network.layer4.named_buffers()}
    network(torch.randn(1, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.conv1.weight.grad.abs().max() > 0
    after = dict(network.layer4.named_buffers())
    alone = [name for name in before if name.startswith("0.bn3")]
    assert len(alone) == 3
    assert all(torch.equal(after[name], before[name]) for name in alone)
    pixel = torch.randn(1, 2048, 1, 1)
    torch.testing.assert_close(last.train()(pixel), last.eval()(pixel))


def test_batch_norms_are_torchs_otherwise() -> None:
    theirs, ours = nn.BatchNorm2d(5).train(), BatchNorm(5).train()
    for images in (torch.randn(2, 5, 1, 1), torch.randn(1, 5, 1, 2), torch.randn(3, 5, 4, 4)):
        assert torch.equal(ours(images), theirs(images))
    assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in ours.state_dict().items())


def test_residual_branches_start_at_zero() -> None:
    model = build(SMALL, 10)
    assert model.layer1[0].bn3.weight.abs().max() == 0


def test_a_factorised_head_is_a_linear_one_of_lower_rank() -> None:
    model = build(replace(SMALL, head_rank=4), 30).eval()
    whole = model.fc.weight @ model.fc.reduce.weight
    assert torch.linalg.matrix_rank(whole) == 4
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model.features(images) @ whole.T + model.fc.bias
        torch.testing.assert_close(model(images), expected)
    parameters = sum(p.numel() for p in model.fc.parameters())
    assert parameters == 4 * 2048 + 30 * 4 + 30
    with pytest.raises(ConfigError, match=r"model.head_rank = 0: must lie in 1..2048"):
        replace(SMALL, head_rank=0)


def test_unknown_recipes_are_named() -> None:
    with pytest.raises(ConfigError, match="recipe = 'resnet18': must be one of nano"):
        recipe("resnet18")
