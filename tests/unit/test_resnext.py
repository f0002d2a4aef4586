"""The ResNeXt family: torchvision's network and names, the paper's parameter counts."""

import pytest
import torch
from torch import nn
from torchvision.models import resnext50_32x4d

from hashnext.errors import ConfigError
from hashnext.models.resnext import ResNeXtConfig, build
from hashnext.recipes import RECIPES, recipe

PAPER_MILLIONS = {4: 44.18, 8: 88.79, 16: 194.03, 32: 468.53, 48: 828.41}
"""Parameters with a head of 1,000, computed from the layer table."""


def test_equals_torchvision_with_its_weights() -> None:
    theirs = resnext50_32x4d(weights=None).eval()
    ours = build(ResNeXtConfig(), 1000).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))
        torch.testing.assert_close(ours.fc(ours.features(images)), theirs(images))


@pytest.mark.parametrize(("width", "millions"), PAPER_MILLIONS.items())
def test_parameter_counts_are_the_papers(width: int, millions: float) -> None:
    with torch.device("meta"):
        model = build(recipe(f"resnext101_32x{width}d").model, 1000)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_and_runs(name: str) -> None:
    config = recipe(name)
    with torch.device("meta"):
        model = build(config.model, 10)
        size = config.stream.size
        assert model(torch.empty(2, 3, size, size, device="meta")).shape == (2, 10)


def test_the_small_stem_keeps_the_resolution() -> None:
    model = build(ResNeXtConfig(blocks=(1, 1, 1, 1), groups=8, small_stem=True), 10)
    assert isinstance(model.maxpool, nn.Identity)
    assert model.layer1(model.conv1(torch.zeros(1, 3, 32, 32))).shape[-1] == 32


def test_residual_branches_start_at_zero() -> None:
    model = build(ResNeXtConfig(blocks=(1, 1, 1, 1), groups=8), 10)
    assert model.layer1[0].bn3.weight.abs().max() == 0


def test_unknown_recipes_are_named() -> None:
    with pytest.raises(ConfigError, match="recipe = 'resnet18': must be one of nano"):
        recipe("resnet18")
