"""Faults in the middle: the same command again ends where an undisturbed run would have ended."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Corpus

from hashnext.cli import TERMINATED
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import post_keys
from hashnext.recipes import nano
from hashnext.shards.ledger import Ledger
from hashnext.shards.order import Samples
from hashnext.storage import Folder
from hashnext.training.pretrain import Plan, plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
REPO = Path(__file__).resolve().parents[2]
LIMIT_S = 400


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=REPO)


def test_a_run_survives_what_happens_to_runs(corpus: Corpus, tmp_path: Path) -> None:
    """Two workers: the job is told to end. One worker: the job is killed, and its last checkpoint
    cut short. Three workers: the end. A shard is damaged throughout."""
    damaged, images, out = damage(corpus, tmp_path), 1120, tmp_path / "run"
    arguments = [
        "jobs.pretrain", "nano", "--shards", damaged, "--vocabulary", corpus.vocabulary,
        "--out", str(out), "--schedule.images", str(images), "--schedule.warmup-images", "256",
        "--checkpoint-images", "160", "--stream.size", "32", "--workers.cpus", "0.5",
        "--workers.num-workers",
    ]  # fmt: skip
    job = start(*arguments, "2")
    wait_for(job, lambda: len(checkpoints(out)) >= 1)
    job.terminate()
    assert job.wait(LIMIT_S) == TERMINATED
    kept = checkpoints(out)
    assert not (out / "result.json").exists()

    job, before = start(*arguments, "1"), trained(out)
    wait_for(job, lambda: len(checkpoints(out) - kept) >= 1 and trained(out) > before + 160)
    job.kill()
    job.wait()
    newest = max(checkpoints(out))
    for state in (out / "run").glob("checkpoint_2*/state.pt"):
        if state.parent.name >= newest:  # a later one may be whole, though unknown to Ray yet
            state.write_bytes(state.read_bytes()[:-1000])
    last = subprocess.run(
        [sys.executable, "-m", *arguments, "3"], cwd=REPO, capture_output=True, text=True,
        timeout=LIMIT_S,
    )  # fmt: skip
    assert last.returncode == 0, last.stderr
    assert f"{newest}: state.pt has SHA-256" in last.stdout.replace("\n", "")
    check_result(out, small_plan(damaged, corpus.vocabulary, images), images)


def check_result(out: Path, planned: Plan, images: int) -> None:
    """The run ended where an undisturbed one over the readable row groups would have ended."""
    result = json.loads((out / "result.json").read_text())
    index, order = planned.run.training.index, planned.run.training.order().take(0, images)
    lost = index.row_groups[order.posts] == lost_row_group(planned, result["missing_posts"])
    assert result["ledger"] == digest(planned, order.where(~lost))
    assert result["counts"]["samples"] == (~lost).sum() < images
    ids = [row["post_id"] for row in result["missing_posts"]]
    assert {*post_keys(pa.array(ids)).tolist()} == {*index.keys[order.posts[lost]].tolist()}


def wait_for(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Wait until the condition holds, which must be before the process ends."""
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def trained(out: Path) -> int:
    """Images that all attempts have trained on."""
    path = out / "progress.json"
    return json.loads(path.read_text())["images_trained"] if path.exists() else 0


def checkpoints(out: Path) -> set[str]:
    """Names of the checkpoints that Ray Train knows of."""
    try:
        document = json.loads((out / "run" / "checkpoint_manager_snapshot.json").read_text())
    except (FileNotFoundError, ValueError):  # Ray is about to write it
        return set()
    return {result["checkpoint_dir_name"] for result in document["checkpoint_results"]}


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


def small_plan(shards: str, vocabulary: str, images: int) -> Plan:
    """What the killed job computes."""
    config = nano().shortened(images)
    config = replace(
        config, stream=replace(config.stream, size=32),
        schedule=replace(config.schedule, warmup_images=256), checkpoint_images=160,
    )  # fmt: skip
    return plan(config, Folder.at(shards), Vocabulary.load(vocabulary))


def digest(planned: Plan, samples: Samples) -> str:
    """Ledger of a run that nothing disturbs, worked out from the order alone.

    That runs follow the order is what tests/integration/test_stream.py is about.
    """
    ledger = Ledger.empty(planned.run.config.stream.streams)
    keys = planned.run.training.index.keys[samples.posts]
    ledger.add(samples.streams, samples.epochs, keys, samples.repeats)
    return ledger.digest


TWO_NODES = """
import json
import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from hashnext.progress import meter
from hashnext.registry.store import RunLogger
from hashnext.storage import Folder
from hashnext.training.ray_trainer import fit
from hashnext.training.workers import WorkersConfig
from test_faults import small_plan

shards, vocabulary, out, images = *sys.argv[1:4], int(sys.argv[4])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
second = cluster.add_node(num_cpus=2)
ray.init(address=cluster.address, log_to_driver=False)


def lose_the_second_node():
    while not list(Path(out, "run").glob("checkpoint_2*/checksum.json")):
        time.sleep(0.1)
    cluster.remove_node(second, allow_graceful=False)


threading.Thread(target=lose_the_second_node, daemon=True).start()
planned = small_plan(shards, vocabulary, images)
logger = RunLogger()
logger.open("nodes", "nodes", {}, {})
workers = WorkersConfig(num_workers=2, min_workers=1, cpus=2)
with meter("pretrain", images, "images") as progress:
    outcome, _ = fit(planned.run, Folder.at(out), workers, logger, progress)
alive = sum(node["Alive"] for node in ray.nodes())
print(json.dumps({"ledger": outcome.ledger, "nodes": alive}), flush=True)
ray.shutdown()
cluster.shutdown()
"""


def test_a_lost_node_and_its_worker_are_done_without(corpus: Corpus, tmp_path: Path) -> None:
    images, paths = 640, os.pathsep.join([str(Path(__file__).parent), str(REPO / "tests")])
    environment = os.environ | {
        "PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled",
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "15",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", TWO_NODES, corpus.shards, corpus.vocabulary, str(tmp_path / "run"),
         str(images)], cwd=REPO, env=environment, capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    planned = small_plan(corpus.shards, corpus.vocabulary, images)
    expected = digest(planned, planned.run.training.order().take(0, images))
    assert json.loads(done.stdout.splitlines()[-1]) == {"ledger": expected, "nodes": 1}


def test_a_killed_preparation_continues_to_the_same_fingerprint(
    real_data: Path, tmp_path: Path
) -> None:
    posts = tmp_path / "posts.parquet"
    some = pq.read_table(real_data / "tinygram" / "posts.parquet").slice(0, 2600)
    pq.write_table(some, posts, row_group_size=256)

    def arguments(out: Path) -> list[str]:
        return ["jobs.prepare", "--posts", str(posts), "--out", str(out), "--size", "64"]

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    job = start(*arguments(killed))
    wait_for(job, lambda: len(list(killed.glob("records/*.json"))) >= 1)
    job.kill()
    job.wait()
    assert not (killed / "manifest.json").exists()
    assert start(*arguments(killed)).wait(LIMIT_S) == 0
    assert start(*arguments(whole)).wait(LIMIT_S) == 0
    assert (killed / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
