"""The curves of a run as one picture."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hashnext.plotting import png

PANELS = {
    "loss": "loss",
    "kl": "loss above its floor (KL divergence)",
    "learning_rate": "learning rate",
    "gradient_norm": "norm of the gradient",
    "images_per_s": "images a second",
    "data_wait": "share of the time spent waiting for data",
}
"""What is drawn, in this order, and what it is called."""

Curve = Sequence[tuple[int, float]]


def plot(curves: Mapping[str, Curve], title: str) -> bytes:
    """PNG with a panel for each curve of PANELS that there is.

    Args:
        curves: points (images seen, value) by metric, ascending.
        title: of the picture.
    """
    shown = [name for name in PANELS if curves.get(name)]
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(10, 2.6 * rows + 0.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for place, name in enumerate(shown, 1):
        axes = figure.add_subplot(rows, 2, place)
        images, values = zip(*curves[name], strict=True)
        axes.plot(images, values, marker="o" if len(images) < 40 else None, markersize=3)
        axes.set_title(PANELS[name], loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if place > len(shown) - 2:
            axes.set_xlabel("images seen")
    return png(figure)
