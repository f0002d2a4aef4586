"""Normalising: the formula, and nothing that goes to the device at every step."""

import pickle
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hashnext.errors import ConfigError
from hashnext.models.preprocess import Preprocess

OTHER = Preprocess(size=4, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


class Calls(TorchDispatchMode):
    """Names of the operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(call.__name__.split(".")[0])
        return call(*args, **(kwargs or {}))


def pixels() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 4, 5, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("preprocess", [Preprocess(size=4), OTHER])
def test_normalised_is_what_the_formula_says(preprocess: Preprocess) -> None:
    mean, std = torch.tensor(preprocess.mean), torch.tensor(preprocess.std)
    expected = ((pixels() - mean * 255) / (std * 255)).permute(0, 3, 1, 2)
    found = preprocess.normalise(pixels())
    assert torch.equal(found, expected)
    torch.testing.assert_close(found, ((pixels() / 255 - mean) / std).permute(0, 3, 1, 2))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_step_makes_no_constants() -> None:
    OTHER.normalise(pixels())
    images = pixels()
    with Calls() as calls:
        OTHER.normalise(images)
    assert calls.names == ["sub", "div", "permute"]


def test_what_predicting_made_can_be_trained_with() -> None:
    preprocess = Preprocess(size=4, mean=(0.11, 0.22, 0.33))
    with torch.inference_mode():
        preprocess.normalise(pixels())
    images = pixels().float().requires_grad_()
    preprocess.normalise(images).square().sum().backward()  # saves the divisor
    assert images.grad is not None


def test_it_stays_a_few_numbers() -> None:
    OTHER.normalise(pixels())
    assert pickle.loads(pickle.dumps(OTHER)) == OTHER
    assert len(pickle.dumps(OTHER)) < 300


def test_bad_settings_name_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"preprocess\.size = 0"):
        Preprocess(size=0)
    with pytest.raises(ConfigError, match=r"preprocess\.mean, std"):
        Preprocess(size=4, std=(0.1, 0.0, 0.1))
