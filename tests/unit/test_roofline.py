"""Operations and least bytes of a step, counted by hand on small networks."""

import re

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from hashnext.models.resnext import ResNeXtConfig, build
from hashnext.training.watch import training_flops
from tests.benchmarks import gpu_steps
from tests.benchmarks.gpu_steps import shares
from tests.benchmarks.roofline import STATE_BYTES, Footprint, Machine, footprint, machine
from tests.benchmarks.steps import Case, Step, timm_network

CPU = torch.device("cpu")


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, 1, stride=2, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5),
    )  # fmt: skip


PARAMETERS, WEIGHTS = 108 + 8 + 24 + 35, 108 + 24 + 30
MULTIPLY_ADDS = 64 * 4 * 27 + 16 * 6 * 4 + 30
INPUTS, OUTPUTS = 3 * 64 + 4 * 64 + 6, 4 * 64 + 6 * 16 + 5
"""Values around the convolutions of an image of 8 x 8 px."""


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(("bf16", "width"), [(False, 4), (True, 2)])
def test_a_small_network_by_hand(images: int, bf16: bool, width: int) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = footprint(small(), torch.randn(images, 3, 8, 8))
    assert found.flops == 3 * 2 * MULTIPLY_ADDS
    assert found.image_bytes == width * (3 * INPUTS - 3 * 64 + 2 * OUTPUTS)
    assert found.step_bytes == 2 * width * WEIGHTS + STATE_BYTES * PARAMETERS
    assert found.moved(10) == found.image_bytes + found.step_bytes / 10


def test_an_input_that_two_layers_share_is_read_once() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(4, 2), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = x * 2
            return torch.cat([self.left(hidden), self.right(hidden)], 1)

    assert footprint(Fork(), torch.randn(2, 4)).image_bytes == 4 * (3 * 4 + 2 * 5)


def test_a_block_by_hand() -> None:
    block = Bottleneck(64, 16).train()
    found = footprint(block, torch.randn(1, 64, 8, 8))
    inside = 16 * 64 * 2 + 64 * 64
    assert found.image_bytes == 4 * (2 * 64 * 64 + 3 * 16 * 64 * 2 + 2 * inside)


def test_operations_are_those_that_training_reports_and_timms_are_as_many() -> None:
    config = ResNeXtConfig()
    ours = footprint(build(config, 10), torch.randn(2, 3, 64, 64))
    assert ours.flops == training_flops(config, 10, 64)
    network = timm_network(Case("resnext50_32x4d", 64, 2, labels=10))
    assert network is not None
    theirs = footprint(network, torch.randn(2, 3, 64, 64))
    assert theirs == ours
    assert timm_network(Case("nano", 64, 2)) is None


def test_shares_are_of_what_limits() -> None:
    able = Machine(matmul=80.0, copy=10.0, peak=100.0, bandwidth=None)
    cost = Footprint(flops=4.0, image_bytes=1.5, step_bytes=2.0)
    assert able.ceiling(cost, 4) == 5.0, "10 / (1.5 + 2 / 4), which is below 80 / 4"
    assert able.ceiling(Footprint(40.0, 1.5, 2.0), 4) == 2.0
    assert shares(2.5, 4, cost, able) == {
        "MFU, of the data sheet": 0.1, "operations, of the matrix product's": 0.125,
        "memory, of the copy's, at least": 0.5, "images/s, of the roofline's": 0.5,
    }  # fmt: skip


def test_each_side_is_judged_by_its_best_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a GPU, but small; batches of more than two images do not fit."""
    real = gpu_steps.step_of

    def narrow(side: str, case: Case, mode: str, device: torch.device) -> Step:
        if case.batch > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20 MiB")
        return real(side, case, mode, device)

    monkeypatch.setattr(gpu_steps, "step_of", narrow)
    cases = [Case("resnext50_32x4d", 32, batch, labels=10) for batch in (1, 2, 3)]
    able = Machine(matmul=1e12, copy=1e10, peak=2e12, bandwidth=2e10)
    gpu_steps.compare(cases, ["default"], 0.01, CPU, able)
    printed = capsys.readouterr().out
    assert printed.count("skipped: OutOfMemoryError: CUDA out of memory.") == 2
    for side in ("ours", "timm"):
        found = re.findall(rf"batch ([12]), .*default: {side}, images/s +([\d.,]+)", printed)
        (best,) = re.findall(rf"{side} at best, images/s +([\d.,]+)", printed)
        assert best == max((speed for _, speed in found), key=float)
    assert printed.count("MFU, of the data sheet") == 2
    assert len(re.findall(r"ours / timm .*(at least 1x|goal 1.1x)", printed)) == 2


def test_a_network_that_timm_lacks_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    able = Machine(matmul=1e12, copy=1e10, peak=None, bandwidth=None)
    gpu_steps.compare([Case("nano", 32, 2, labels=10)], ["default"], 0.01, CPU, able)
    printed = capsys.readouterr().out
    assert "skipped: timm has no network of this name" in printed
    assert "ours / timm" not in printed


def test_a_machine_is_measured() -> None:
    found = machine(CPU, side=64, copied=1 << 16)
    assert found.matmul > 0
    assert found.copy > 0
    assert found.peak is None
