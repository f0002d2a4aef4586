"""The plot of a sweep: score against resampling strength, a line for each vocabulary."""

from collections import defaultdict

from matplotlib.figure import Figure

from hashnext.plotting import png, tidy
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
    tidy(
        axes, "Vocabulary size and resampling strength",
        "resampling strength α (0 natural, 0.5 square root, 1 uniform)",
        "top-1 on the selection slice, %",
    )  # fmt: skip
    axes.legend(frameon=False)
    return png(figure)
