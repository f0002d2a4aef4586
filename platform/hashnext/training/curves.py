"""The curves of a run as one picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from hashnext.plotting import png

PANELS = {
    "loss": {"loss": ""},
    "loss above its floor (KL divergence)": {"kl": ""},
    "learning rate": {"learning_rate": ""},
    "norm of the gradient": {"gradient_norm": ""},
    "images a second": {"images_per_s": ""},
    "share of the time spent waiting for data": {"data_wait": ""},
    "time of a step, s": {"step_p50_s": "median", "step_p95_s": "95th percentile"},
    "operations of the model, 1e12 a second": {"tflops": ""},
    "share of the GPU": {"mfu": "of its peak (MFU)", "gpu_utilisation": "of the time in use"},
    "GPU memory, GiB": {"gpu_memory_gib": ""},
}
"""What is drawn, in this order: the curves of a panel, by metric, and what tells them apart."""
METRICS = tuple(metric for names in PANELS.values() for metric in names)

Curve = Sequence[tuple[int, float]]


def plot(curves: Mapping[str, Curve], title: str) -> bytes:
    """PNG with a panel for each of PANELS of which there is a curve, at least one.

    Args:
        curves: points (images seen, value) by metric, ascending.
        title: of the picture.
    """
    shown = {
        name: {metric: label for metric, label in metrics.items() if curves.get(metric)}
        for name, metrics in PANELS.items()
        if any(curves.get(metric) for metric in metrics)
    }
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(10, 2.6 * rows + 0.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for place, (name, metrics) in enumerate(shown.items(), 1):
        axes = figure.add_subplot(rows, 2, place)
        for metric, label in metrics.items():
            _draw(axes, curves[metric], label)
        axes.set_ylim(bottom=0)  # now, because it also fixes the top
        axes.set_title(name, loc="left", fontsize=10)
        if place > len(shown) - 2:
            axes.set_xlabel("images seen")
    return png(figure)


def _draw(axes: Any, curve: Curve, label: str) -> None:
    images, values = zip(*curve, strict=True)
    marker = "o" if len(images) < 40 else None
    axes.plot(images, values, marker=marker, markersize=3, label=label)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if label:
        axes.legend(frameon=False, fontsize=8)
