"""Print a comparison: the counts, then the biggest changes of each kind."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from hashnext.hashtags.comparison.compare import Comparison
from hashnext.hashtags.comparison.labels import CHANGES

SHOWN = 5
"""Rows of each kind of change."""
NAMES_SHOWN = 4
"""Labels named in one cell."""
NONE = "–"

Row = dict[str, Any]


def show(comparison: Comparison) -> None:
    """Print four tables to stdout, without those that have no rows."""
    rows = comparison.labels.to_pylist()
    called = names(rows)
    tables = (
        _labels(comparison.figures),
        _posts(comparison.figures),
        _biggest_labels(rows, called),
        _biggest_hashtags(comparison.hashtags, called),
    )
    for table in tables:
        if table.row_count:
            Console().print(table)
    print("A label's posts are those that carry no more specific label; a hashtag's are all.")


def names(rows: list[Row]) -> dict[str, str]:
    """What to call each label: its name, with the key where several labels share the name."""
    shared = Counter(row["name"] for row in rows)
    return {
        row["key"]: row["name"] if shared[row["name"]] == 1 else f"{row['name']} ({row['key']})"
        for row in rows
    }


def _labels(figures: dict[str, Any]) -> Table:
    """Labels by change, and why they were added or lost."""
    table = _table("labels", "", "before", "after")
    before, after = figures["labels"]["before"], figures["labels"]["after"]
    for change in CHANGES:
        if before[change] or after[change]:
            shown = [before[change] or None, after[change] or None]
            table.add_row(change, *map(_number, shown))
        for reason, count in list(figures["reasons"].get(change, {}).items())[:SHOWN]:
            shown = [count, None] if change == "lost" else [None, count]
            table.add_row(f"  {reason}", *map(_number, shown), style="dim")
    table.add_section()
    table.add_row("all", _number(before["total"]), _number(after["total"]))
    return table


def _posts(figures: dict[str, Any]) -> Table:
    """Posts and occurrences of hashtags that the labels reach."""
    source = "" if figures["same_source"] else ", counted on different sources"
    table = _table(f"posts{source}", "", "before", "after", "difference")
    for title, name in (
        ("posts", "posts"),
        ("posts with a label", "posts_with_label"),
        ("hashtag occurrences with a label", "occurrences_with_label"),
    ):
        one, other = figures[name]["before"], figures[name]["after"]
        table.add_row(title, _number(one), _number(other), _signed(other - one))
    occurrences, hashtags = figures["occurrences_with_label"], figures["hashtags"]
    for title, difference in (
        (f"gained (hashtags: {hashtags['gained']:,})", occurrences["gained"]),
        (f"lost (hashtags: {hashtags['lost']:,})", -occurrences["lost"]),
        ("by hashtags with a label in both", occurrences["recounted"]),
    ):
        if difference:
            table.add_row(f"  {title}", "", "", _signed(difference), style="dim")
    return table


def _biggest_labels(rows: list[Row], called: dict[str, str]) -> Table:
    table = _table(
        f"labels, the {SHOWN} biggest changes of a kind", "", "label", "before", "after", ""
    )
    posts_before = {row["key"]: row["posts_before"] for row in rows}
    for change in CHANGES:
        for index, row in enumerate(_biggest(rows, change)):
            renamed = posts_before[row["from"][0]] if change == "renamed" else None
            before = row["posts_before"] if renamed is None else renamed
            table.add_row(
                change if index == 0 else "", called[row["key"]], _number(before),
                _number(row["posts_after"]), _explained(row, change, called),
            )  # fmt: skip
        table.add_section()
    return table


def _biggest(rows: list[Row], change: str) -> list[Row]:
    """The rows that stand for a change: the label after of a merge, the one before of a split."""
    match change:
        case "merged":
            chosen = [row for row in rows if len(row["from"]) > 1]
        case "split":
            chosen = [row for row in rows if len(row["to"]) > 1]
        case "renamed":
            chosen = [row for row in rows if row["change"] == change and row["from"]]
        case "kept":
            chosen = [row for row in rows if row["change"] == change and row["difference"]]
            chosen.sort(key=lambda row: -abs(row["difference"]))
        case _:
            chosen = [row for row in rows if row["change"] == change]
    return chosen[:SHOWN]


def _explained(row: Row, change: str, called: dict[str, str]) -> str:
    match change:
        case "merged":
            return f"from {_listed(row['from'], called)}"
        case "split":
            return f"into {_listed(row['to'], called)}"
        case "renamed":
            return f"was {_listed(row['from'], called)}"
        case "kept":
            return _signed(row["difference"])
        case _:
            return row["reason"] or ""


def _listed(keys: list[str], called: dict[str, str]) -> str:
    shown = ", ".join(called[key] for key in keys[:NAMES_SHOWN])
    return shown + (f" and {len(keys) - NAMES_SHOWN} more" if len(keys) > NAMES_SHOWN else "")


def _biggest_hashtags(hashtags: pa.Table, called: dict[str, str]) -> Table:
    table = _table(
        f"hashtags, the {SHOWN} most frequent of a kind", "", "hashtag", "before", "after", ""
    )
    for change in ("gained", "lost", "moved"):
        chosen = hashtags.filter(pc.equal(hashtags["change"], change)).slice(0, SHOWN)
        for index, row in enumerate(chosen.to_pylist()):
            one, other = (
                called.get(row[f"label_{side}"], f"({row['reason']})")
                for side in ("before", "after")
            )
            table.add_row(
                change if index == 0 else "", f"#{row['normalised']}",
                _number(row["posts_before"]), _number(row["posts_after"]), f"{one} → {other}",
            )  # fmt: skip
        table.add_section()
    return table


def _table(title: str, *columns: str) -> Table:
    """An empty table; what is counted before and after stands to the right."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        number = column in ("before", "after", "difference")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table


def _number(count: int | None) -> str:
    return NONE if count is None else f"{count:,}"


def _signed(count: int) -> str:
    return f"{count:+,}" if count else "0"
