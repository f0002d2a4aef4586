"""The picture of a run: a panel for what there is, and none for what a CPU does not tell."""

import io

import pytest
from PIL import Image

from hashnext.training.curves import METRICS, plot
from hashnext.training.watch import Window

GPU = ("mfu", "gpu_utilisation", "gpu_memory_gib")
STEPS = (64, 128, 192)


def drawn(metrics: tuple[str, ...]) -> Image.Image:
    curves = {metric: [(step, 1 / step) for step in STEPS] for metric in metrics}
    return Image.open(io.BytesIO(plot(curves, "a run")))


def test_all_that_a_window_tells_is_drawn() -> None:
    assert {*Window().metrics()} == {*METRICS}.difference(GPU)


@pytest.mark.parametrize("lacking", [GPU, ("step_p50_s", "step_p95_s", "tflops")])
def test_a_panel_without_a_curve_is_left_out(lacking: tuple[str, ...]) -> None:
    some = drawn(tuple(metric for metric in METRICS if metric not in lacking))
    assert drawn(METRICS).height - some.height == pytest.approx(2.6 * 150, abs=2)


def test_one_of_two_curves_is_enough_for_a_panel() -> None:
    assert drawn(("mfu",)).size == drawn(("mfu", "gpu_utilisation")).size
