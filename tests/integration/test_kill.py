"""Kill -9 in the middle: the same command again ends where an undisturbed run would have ended."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import Corpus

from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import post_keys
from hashnext.recipes import nano
from hashnext.shards.ledger import Ledger
from hashnext.shards.order import Samples
from hashnext.storage import Folder
from hashnext.training.pretrain import Plan, plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
REPO = Path(__file__).resolve().parents[2]
LIMIT_S = 240


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=REPO)


def kill_once(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Kill -9 as soon as the condition holds, which must be before the process ends."""
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()


def test_killed_twice_two_one_three_workers_and_a_damaged_shard(
    corpus: Corpus, tmp_path: Path
) -> None:
    damaged, images, out = damage(corpus, tmp_path), 1120, tmp_path / "killed"
    arguments = [
        "jobs.pretrain", "nano", "--shards", damaged, "--vocabulary", corpus.vocabulary,
        "--out", str(out), "--schedule.images", str(images), "--schedule.warmup-images", "256",
        "--checkpoint-images", "320", "--stream.size", "32", "--workers.cpus", "0.5",
        "--workers.num-workers",
    ]  # fmt: skip

    def trained() -> int:
        path = out / "progress.json"
        return json.loads(path.read_text())["images_trained"] if path.exists() else 0

    def checkpoints() -> set[str]:
        try:
            document = json.loads((out / "run" / "checkpoint_manager_snapshot.json").read_text())
        except (FileNotFoundError, ValueError):  # Ray is about to write it
            return set()
        return {result["checkpoint_dir_name"] for result in document["checkpoint_results"]}

    kill_once(start(*arguments, "2"), lambda: bool(checkpoints()) and trained() > 320)
    first, before = checkpoints(), trained()
    kill_once(
        start(*arguments, "1"), lambda: bool(checkpoints() - first) and trained() > before + 320
    )
    assert not (out / "result.json").exists()
    assert start(*arguments, "3").wait(LIMIT_S) == 0
    result = json.loads((out / "result.json").read_text())

    planned = small_plan(damaged, corpus, images)
    index, order = planned.run.training.index, planned.run.training.order().take(0, images)
    lost = index.row_groups[order.posts] == lost_row_group(planned, result["missing_posts"])
    assert result["ledger"] == digest(planned, order.where(~lost))
    assert result["counts"]["samples"] == (~lost).sum() < images
    assert result["counts"]["wasted"] > 0
    ids = [row["post_id"] for row in result["missing_posts"]]
    assert {*post_keys(pa.array(ids)).tolist()} == {*index.keys[order.posts[lost]].tolist()}


def lost_row_group(planned: Plan, missing: list[dict[str, Any]]) -> int:
    """Number in the manifest of the one row group that posts are missing from."""
    ((file, group),) = {(row["file"], row["row_group"]) for row in missing}
    places = [place[:2] for place in planned.run.training.manifest.row_groups()]
    return places.index((file, group))


def damage(corpus: Corpus, folder: Path) -> str:
    """The corpus's shards with some bytes of an image overwritten: its row group is unreadable."""
    shutil.copytree(corpus.shards, folder / "shards")
    part = next((folder / "shards").glob("part-*.parquet"))
    data = bytearray(part.read_bytes())
    image = data.index(b"\xff\xd8\xff", 20_000)
    data[image : image + 40] = bytes(40)
    part.write_bytes(data)
    return str(folder / "shards")


def small_plan(shards: str, corpus: Corpus, images: int) -> Plan:
    """What the killed job computes."""
    config = nano().shortened(images)
    config = replace(
        config, stream=replace(config.stream, size=32),
        schedule=replace(config.schedule, warmup_images=256), checkpoint_images=320,
    )  # fmt: skip
    return plan(config, Folder.at(shards), Vocabulary.load(corpus.vocabulary))


def digest(planned: Plan, samples: Samples) -> str:
    """Ledger of a run that nothing disturbs, worked out from the order alone.

    That runs follow the order is what tests/integration/test_stream.py is about.
    """
    ledger = Ledger.empty(planned.run.config.stream.streams)
    keys = planned.run.training.index.keys[samples.posts]
    ledger.add(samples.streams, samples.epochs, keys, samples.repeats)
    return ledger.digest


def test_a_killed_preparation_continues_to_the_same_fingerprint(
    real_data: Path, tmp_path: Path
) -> None:
    def arguments(out: Path) -> list[str]:
        posts = str(real_data / "tinygram" / "posts.parquet")
        return ["jobs.prepare", "--posts", posts, "--out", str(out), "--size", "64"]

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_once(start(*arguments(killed)), lambda: len(list(killed.glob("records/*.json"))) >= 1)
    assert not (killed / "manifest.json").exists()
    assert start(*arguments(killed)).wait(LIMIT_S) == 0
    assert start(*arguments(whole)).wait(LIMIT_S) == 0
    assert (killed / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
