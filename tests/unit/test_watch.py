"""What is watched: percentiles of steps, operations of the networks, and a worker that hangs."""

import subprocess
import sys

import pytest

from hashnext.errors import ConfigError
from hashnext.models.resnext import ResNeXtConfig
from hashnext.training.heartbeat import STALLED
from hashnext.training.watch import PEAK_BF16, Window, of_gpu, training_flops
from hashnext.training.workers import WorkersConfig

HANG = """
import sys, time
import torch
from hashnext.training.heartbeat import Heartbeat

def compiler(graph, inputs):
    time.sleep(60 if sys.argv[1] == "compiler" else 1.6)
    return graph.forward

step = torch.compile(lambda x: x + 1, backend=compiler)
heart = Heartbeat(0.4, start_s=1.2, keep_s=1.2, compile_s=4)
with heart.watched():
    time.sleep(60 if sys.argv[1] == "start" else 0.8)
    heart.beat()
    step(torch.ones(1))
    for _ in range(8):
        heart.beat()
        time.sleep(0.1)
    with heart.waiting():
        time.sleep(60 if sys.argv[1] == "checkpoint" else 0.8)
    print("slow but going", flush=True)
    time.sleep(60)
"""


def test_percentiles_and_means() -> None:
    window = Window(flops=2e9, loss=30.0, floor=10.0, samples=10.0, gradient_norm=6.0)
    window.steps_s = [0.1 * number for number in range(1, 22)]
    found = window.metrics()
    assert found["loss"] == 3
    assert found["kl"] == 2
    assert found["step_p50_s"] == pytest.approx(1.1)
    assert found["step_p95_s"] == pytest.approx(2.0)
    assert found["gradient_norm"] == pytest.approx(6 / 21)


def test_operations_of_resnext_50() -> None:
    multiply_adds = 4.23e9  # of a forward pass at 224 px, with 1,000 labels
    found = training_flops(ResNeXtConfig(), 1000, 224)
    assert found == pytest.approx(3 * 2 * multiply_adds, rel=0.01)


@pytest.mark.parametrize(
    ("name", "key"),
    [("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA H100 PCIe", "H100 PCIe"), ("NVIDIA L40", "L40"),
     ("NVIDIA L40S", "L40S"), ("NVIDIA A100-SXM4-40GB", "A100"), ("Tesla T4", "T4")],
)  # fmt: skip
def test_a_gpu_is_known_by_whole_words_of_its_name(name: str, key: str) -> None:
    assert of_gpu(PEAK_BF16, name) == PEAK_BF16[key]
    assert of_gpu(PEAK_BF16, "NVIDIA GeForce RTX 4090") is None


@pytest.mark.parametrize(
    ("phase", "limit", "line"),
    [("start", "1.2", 13), ("compiler", "4", 7), ("checkpoint", "1.2", 20), ("step", "0.4", 22)],
)
def test_a_worker_that_hangs_is_ended_and_shows_where(phase: str, limit: str, line: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANG, phase], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == STALLED
    assert done.stdout == ("slow but going\n" if phase == "step" else "")
    assert f"no progress for {limit} s" in done.stderr
    assert f'File "<string>", line {line}' in done.stderr


def test_by_default_nothing_but_compiling_may_take_two_minutes() -> None:
    workers = WorkersConfig()
    heart = workers.heartbeat()
    assert max(heart.limit_s, heart.start_s, heart.keep_s) < 120
    with pytest.raises(ConfigError, match=r"workers\.start-s = 0"):
        WorkersConfig(start_s=0)
