"""Results in the terminal: intervals behind their figure, no lists, groups set apart."""

import pytest

from hashnext.cli import print_table, readable


def test_intervals_stand_behind_their_figure() -> None:
    rows = readable({
        "transfer": {"model": "m", "top1": 0.51234, "low": 0.4, "high": 0.6},
        "gain": {"mean": 0.1, "low": -0.05, "high": 0.2, "excludes_zero": False},
        "checked": {"answers": 0, "precision": None, "low": None, "high": None},
        "images": 12_345,
        "per_class": [{"label": 1}],
        "deeper": {"accuracy_by_depth": [1.0, 0.5], "exact": 0.5},
    })  # fmt: skip
    assert rows == {
        "transfer.model": "m",
        "transfer.top1": "0.5123  (0.4 to 0.6)",
        "gain": "0.1  (-0.05 to 0.2)",
        "gain.excludes_zero": "False",
        "checked.answers": "0",
        "checked.precision": "–",
        "images": "12,345",
        "deeper.exact": "0.5",
    }


def test_a_baseline_stands_beside_its_figure() -> None:
    rows = readable({
        "held_out": {
            "recall": 0.75, "posts": 9, "baseline": {"recall": 0.25, "only_here": 1},
        }
    })  # fmt: skip
    assert rows == {
        "held_out.recall": "0.75  baseline 0.25",
        "held_out.posts": "9",
        "held_out.baseline.only_here": "1",
    }


def test_ends_without_a_figure_before_them_are_shown() -> None:
    assert readable({"low": 1, "high": 2}) == {"low": "1", "high": "2"}


def test_groups_are_set_apart(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("result", {"counts.posts": 3, "counts.labels": 2, "seconds": 1.5, "package": "m"})
    lines = capsys.readouterr().out.splitlines()
    (line,) = [n for n, text in enumerate(lines) if text.startswith("├")]
    assert "counts.labels" in lines[line - 1]
    assert "seconds" in lines[line + 1]
