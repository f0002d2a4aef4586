"""The leaderboard of a sweep: trials ranked by the transfer probe's selection slice."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tuning.spaces import Point


@dataclass(frozen=True)
class Row:
    """One trial."""

    point: Point
    metrics: dict[str, Any] | None
    """None where the trial failed."""
    error: str = ""

    @property
    def score(self) -> float:
        """Top-1 on the selection slice; failed trials come last."""
        return float(self.metrics["selection_top1"]) if self.metrics else -1.0


def ranked(rows: list[Row]) -> list[Row]:
    """Best first; equal scores in the order of their names."""
    return sorted(rows, key=lambda row: (-row.score, row.point.name))


def document(rows: list[Row]) -> list[dict[str, Any]]:
    """The leaderboard as JSON."""
    return [
        {"trial": row.point.name, **asdict(row.point), **(row.metrics or {"error": row.error})}
        for row in rows
    ]


def show(rows: list[Row]) -> None:
    """Print the leaderboard."""
    table = Table(title="leaderboard: top-1 on the probe's selection slice", title_justify="left")
    for column in ("trial", "labels", "alpha", "selection top-1", "precision@1", "seconds"):
        table.add_column(column, overflow="fold")
    for row in rows:
        metrics = row.metrics or {}
        table.add_row(
            row.point.name, str(metrics.get("labels", "failed")), f"{row.point.alpha:g}",
            f"{row.score:.4f}", f"{metrics.get('precision_at_1', float('nan')):.4f}",
            f"{metrics.get('seconds', 0):.0f}",
        )  # fmt: skip
    Console().print(table)
