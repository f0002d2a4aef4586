"""The plot of a sweep: score against resampling strength, a line for each vocabulary."""

import io
from collections import defaultdict

from matplotlib.figure import Figure

from tuning.leaderboard import Row


def plot(rows: list[Row]) -> bytes:
    """PNG of the finished trials."""
    lines: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row.metrics:
            vocabulary = int(row.metrics["labels"]), row.point.policy
            lines[vocabulary].append((row.point.alpha, row.score))
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (labels, policy), points in sorted(lines.items()):
        alphas, scores = zip(*sorted(points), strict=True)
        name = " ".join([f"{labels:,} labels", policy]).strip()
        axes.plot(alphas, [100 * score for score in scores], marker="o", label=name)
    axes.set_xlabel("resampling strength α (0 natural, 0.5 square root, 1 uniform)")
    axes.set_ylabel("top-1 on the selection slice, %")
    axes.set_title("Vocabulary size and resampling strength", loc="left")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    return picture.getvalue()
