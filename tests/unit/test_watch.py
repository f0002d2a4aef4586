"""What is watched: percentiles of steps, operations of the networks, and a worker that hangs."""

import subprocess
import sys

import pytest

from hashnext.models.resnext import ResNeXtConfig
from hashnext.training.heartbeat import STALLED
from hashnext.training.watch import Window, training_flops

HANG = """
import time
from hashnext.training.heartbeat import Heartbeat

heart = Heartbeat(0.4)
with heart.watched():
    for _ in range(8):
        heart.beat()
        time.sleep(0.1)
    with heart.waiting():
        time.sleep(0.8)
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


def test_a_worker_that_hangs_is_ended_and_shows_where() -> None:
    done = subprocess.run([sys.executable, "-c", HANG], capture_output=True, text=True, timeout=60)
    assert done.returncode == STALLED
    assert done.stdout == "slow but going\n"
    assert "no progress for 0.4 s" in done.stderr
    assert 'File "<string>", line 13' in done.stderr
