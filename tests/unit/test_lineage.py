"""Which posts taken down a model has seen, through chains of takedowns."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from hashnext.errors import StateError
from hashnext.models.initial_weights import read_weights
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.tombstones import TOMBSTONES, Tombstones
from hashnext.registry.lineage import seen_posts
from hashnext.registry.package import ModelPackage, write_package
from hashnext.storage import Folder
from jobs.lineage import Lineage, main

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def ids_of(dataset: str, *takedowns: tuple[str, str | None, str | None]) -> list[str]:
    """Ids that shards of a fingerprint have held, after takedowns (post id, before, after)."""
    rows = [
        {"post_id": post_id, "time": NOW, "shards": "/shards", "before": before, "after": after}
        for post_id, before, after in takedowns
    ]
    found = seen_posts([dataset], pa.Table.from_pylist(rows, TOMBSTONES))
    return [post.post_id for post in found]


def test_a_post_was_in_all_the_shards_before_its_takedown() -> None:
    chain = [("p", "A", "B"), ("q", "B", "C"), ("r", "B", "C"), ("s", None, None)]
    assert ids_of("A", *chain) == ["p", "q", "r"]
    assert ids_of("B", *chain) == ["q", "r"]
    assert ids_of("C", *chain) == ids_of("other", *chain) == []


def test_a_takedown_that_was_interrupted_and_extended_is_followed() -> None:
    """B was planned, its manifest never written; then p and q went together."""
    branches = [("p", "A", "B"), ("p", "A", "C"), ("q", "A", "C"), ("r", "C", "D")]
    assert ids_of("A", *branches) == ["p", "q", "r"]
    assert ids_of("C", *branches) == ["r"]


def test_held_out_posts_are_told_apart_in_print_and_in_the_result(
    tombstones: Tombstones, tiny_package: ModelPackage, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    names = pa.array([f"post{n}" for n in range(200)])
    held = held_out(post_keys(names)).tolist()
    kept_back, trained = (names[held.index(flag)].as_py() for flag in (True, False))
    origin = {"shards": "/shards", "before": "tiny-dataset", "after": "B"}
    tombstones.bury([kept_back, trained], ["elsewhere"], origin, NOW)
    job = Lineage(model=tiny_package.folder.location, out=str(tmp_path / "out"))
    result = main(job)
    assert result["dataset"] == "tiny-dataset"
    assert result["git_commit"] == "0" * 40
    assert (result["taken_down_trained_on"], result["taken_down_held_out"]) == (1, 1)
    said = capsys.readouterr().out
    assert f"2026-01-02T03:04:05Z  held out  {kept_back}" in said
    assert f"2026-01-02T03:04:05Z  training  {trained}" in said
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert {row["post_id"]: row["held_out"] for row in written["taken_down"]} == {
        kept_back: True, trained: False,
    }  # fmt: skip
    main(job)  # nothing to do
    tombstones.bury(["another"], [], {**origin, "before": "B", "after": "C"}, NOW)
    with pytest.raises(StateError, match="taken_down"):
        main(job)


def test_a_model_without_takedowns_has_seen_none(
    tombstones: Tombstones, tiny_package: ModelPackage
) -> None:
    result = main(Lineage(model=tiny_package.folder.location))
    assert result["taken_down"] == []
    assert result["taken_down_trained_on"] == 0


def test_what_the_initial_weights_have_seen_counts(
    tombstones: Tombstones, tiny_package: ModelPackage, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A model trained on from one that was trained on from the tiny one."""
    before = tiny_package
    for dataset in ("second", "third"):
        origin = read_weights(before.folder.location).origin
        before = write_package(
            Folder.at(tmp_path / dataset), state_dict=before.build().state_dict(),
            config=before.config, vocabulary=before.vocabulary, preprocess=before.preprocess,
            calibration=before.calibration,
            lineage={"dataset": dataset, "parent": origin["sha256"], "initial_weights": origin},
        )  # fmt: skip
    for post, shards in (("p", "tiny-dataset"), ("q", "second"), ("r", "third"), ("s", "fourth")):
        tombstones.bury([post], [], {"shards": "/shards", "before": shards, "after": "-"}, NOW)
    result = main(Lineage(model=before.folder.location))
    assert [row["post_id"] for row in result["taken_down"]] == ["p", "q", "r"]
    assert result["initial_weights"]["datasets"] == ["second", "tiny-dataset"]
    assert "initial_weights.source" in capsys.readouterr().out
