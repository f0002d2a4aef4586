"""The sweep: every point of the grid, ranked on the selection slice, the best one registered."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Corpus
from PIL import Image

from hashnext.errors import ConfigError
from hashnext.registry import versions
from hashnext.registry.package import ModelPackage
from hashnext.storage import Folder
from tuning.spaces import Space
from tuning.sweep import Sweep, main


def sweep(corpus: Corpus, out: Path, **changed: Any) -> Sweep:
    settings: dict[str, Any] = {
        "posts": corpus.shards, "shards": corpus.shards, "probe_train": corpus.probe,
        "probe_test": corpus.probe, "out": str(out), "images": 192, "name": "swept",
        "space": Space(max_labels=(2, 0), alpha=(0.5,)),
    }  # fmt: skip
    return Sweep(**(settings | changed))


@pytest.fixture(scope="module")
def swept(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished sweep of two trials."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    return out, main(sweep(corpus, out))


def test_every_point_is_ranked(swept: tuple[Path, dict[str, Any]]) -> None:
    out, result = swept
    board = json.loads((out / "leaderboard.json").read_text())
    assert {row["trial"] for row in board} == {"labels-2-alpha-0.5", "labels-all-alpha-0.5"}
    assert [row["labels"] for row in sorted(board, key=lambda row: row["max_labels"])] == [4, 2]
    scores = [row["selection_top1"] for row in board]
    assert scores == sorted(scores, reverse=True)
    assert result["best"] == board[0]["trial"]
    assert Image.open(out / "leaderboard.png").size[0] > 800


def test_the_best_trial_is_registered_with_its_test_figure(
    swept: tuple[Path, dict[str, Any]],
) -> None:
    out, result = swept
    best = ModelPackage.open(str(out / "trials" / result["best"] / "model"))
    registered = ModelPackage.open(str(versions.resolve(result["model"])))
    assert registered.fingerprint == best.fingerprint == result["transfer"]["model"]
    assert 0 < result["transfer"]["low"] <= result["transfer"]["top1"] <= 1


def test_a_sweep_continues_with_the_trials_it_has(
    swept: tuple[Path, dict[str, Any]], corpus: Corpus
) -> None:
    out, result = swept
    ledgers = {row["trial"]: row["ledger"] for row in result["trials"]}
    weights = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/model/*.safetensors")}
    (out / "result.json").unlink()
    again = main(sweep(corpus, out))
    assert {row["trial"]: row["ledger"] for row in again["trials"]} == ledgers
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    assert again["model"] == result["model"], "the same package is the same version"


def test_bad_grids_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"space\.alpha = \(2\.0,\): must lie in 0\.\.1"):
        Space(alpha=(2.0,))
    with pytest.raises(ConfigError, match=r"space\.max-labels = 99: the vocabulary has 4 labels"):
        main(sweep(corpus, tmp_path / "out", space=Space(max_labels=(99,), alpha=(0.0,))))
    assert not Folder.at(tmp_path / "out").has("result.json")
