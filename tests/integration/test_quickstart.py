"""The quickstart, as its users run it: on drawn posts, and on real ones."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hashnext.errors import ConfigError
from hashnext.hashtags.normalise import normalise
from hashnext.posts.schema import Columns
from jobs import vocabulary
from jobs.prepare import Prepare
from jobs.prepare import main as prepare
from jobs.quickstart import Quickstart

pytestmark = pytest.mark.timeout(1500)
REPO = Path(__file__).resolve().parents[2]
LIMIT_S = 1080
"""For the drawn posts: 360 s are allowed on two quiet cores. A lane of the tests has one of them,
which doubles that, and half as much again is for busy machines."""


def run(out: Path, *arguments: str) -> str:
    """Run the quickstart as a program of its own; returns what it printed."""
    command = [sys.executable, "-m", "jobs.quickstart", "--out", str(out), *arguments]
    done = subprocess.run(
        command, cwd=REPO, env={**os.environ, "HASHNEXT_HOME": str(out / "home")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def result(out: Path, stage: str) -> dict[str, Any]:
    return dict(json.loads((out / stage / "result.json").read_text()))


def test_posts_and_probe_go_together() -> None:
    with pytest.raises(ConfigError, match="--posts, --probe-train and --probe-test go together"):
        Quickstart(posts="posts.parquet")


@pytest.mark.slow
def test_on_drawn_posts(tmp_path: Path) -> None:
    started = time.monotonic()
    said = run(tmp_path / "out")
    seconds = time.monotonic() - started
    assert result(tmp_path / "out", "pretrain")["held_out"]["gain_over_baseline"]["low"] > 0
    assert result(tmp_path / "out", "transfer")["over_baseline"]["low"] > 0
    for line in ("tags ", "report ", "mlflow ", "page "):
        assert f"\n{line}" in said
    results = list((tmp_path / "out").glob("*/result.json"))
    assert len(results) == 7, "all stages but the registry's"
    assert seconds < LIMIT_S


@pytest.mark.slow
def test_on_real_posts(tmp_path: Path, real_data: Path) -> None:
    out, posts = tmp_path / "out", real_data / "tinygram" / "posts.parquet"
    probe = []
    for part in ("train", "test"):
        table = pq.read_table(real_data / "transfer" / f"tiny_imagenet_{part}.parquet")
        probe.append(str(tmp_path / f"{part}.parquet"))
        pq.write_table(table.filter(pc.field("label") < 10), probe[-1])  # a twentieth, to save time
    run(
        out, "--posts", str(posts), "--probe-train", probe[0], "--probe-test", probe[1],
        "--images", "640", "--trial-images", "96",
    )  # fmt: skip
    counts = result(out, "shards")["counts"]
    assert counts["input_posts"] == 4961 == counts["shard_rows"] + counts["quarantined"]
    assert result(out, "pretrain")["counts"]["posts_without_label"] > 0
    _assert_private_tags_are_nowhere(posts, out)


def _assert_private_tags_are_nowhere(posts: Path, out: Path) -> None:
    table = pq.read_table(posts, columns=["hashtags", "public"]).to_pylist()
    seen = {public: {tag for row in table if row["public"] is public for tag in row["hashtags"]}
            for public in (True, False)}  # fmt: skip
    public = {normalise(tag) for tag in seen[True]}
    secret = {tag.strip("#") for tag in seen[False] if normalise(tag) not in public}
    assert secret
    for path in out.rglob("*.parquet"):
        table = pq.read_table(path)
        for name in {"hashtag", "normalised", "hashtags"} & set(table.column_names):
            values = table[name].to_pylist()
            flat = {v for value in values for v in (value if isinstance(value, list) else [value])}
            assert not secret & {str(tag).strip("#") for tag in flat}, path
    for path in (*out.glob("*/*.json"), *out.glob("pretrain/model/**/*.json"), *out.glob("*.md")):
        words = set(path.read_text().replace('"', " ").replace(",", " ").split())
        assert not {tag for tag in secret & words if len(tag) > 3}, path


@pytest.mark.slow
def test_other_columns_go_through_vocabulary_and_shards(
    ray_session: None, real_data: Path, tmp_path: Path
) -> None:
    columns = Columns(post_id="id", hashtags="uploader_tags")
    shared: dict[str, Any] = {
        "posts": str(real_data / "food_tagged" / "food_tagged.parquet"), "columns": columns,
        "assume_public": True,
    }  # fmt: skip
    vocabulary.main(vocabulary.VocabularyJob(out=str(tmp_path / "vocabulary"), **shared))
    counts = prepare(Prepare(out=str(tmp_path / "shards"), size=96, **shared))["counts"]
    assert counts["input_posts"] == 1008 == counts["shard_rows"] + counts["quarantined"]
