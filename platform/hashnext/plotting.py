"""What every plot shares: colours, plain axes, and the way to a PNG."""

import io
from typing import Any

from matplotlib.figure import Figure

OURS, THEIRS, FAINT = "#1b6ca8", "#d9822b", "#9aa0a6"
"""The model, what it is compared with, and what stays in the background."""


def tidy(axes: Any, title: str, x: str, y: str) -> None:
    """Label an axes pair, with a faint grid and without a frame."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(axes: Any, columns: int = 2) -> Any:
    """A legend under the axes, where it hides no data, in a figure of constrained layout."""
    return axes.legend(
        frameon=False, fontsize=8, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.15)
    )


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 150 dots an inch."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    return picture.getvalue()
