"""Faults in the middle: the same command again ends where an undisturbed run would have ended."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tyro
from conftest import Corpus
from processes import below

from hashnext.cli import TERMINATED, USER_ERROR
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import post_keys
from hashnext.recipes import nano
from hashnext.registry.store import RunLogger
from hashnext.shards.ledger import Ledger
from hashnext.shards.order import Samples
from hashnext.storage import Folder
from hashnext.training.checkpoint import load
from hashnext.training.pretrain import Plan, plan
from jobs import pretrain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
REPO = Path(__file__).resolve().parents[2]
LIMIT_S = 400
GRACE_S = 60
"""What a job may take to keep a checkpoint and end: twice Kubernetes' grace period, since tests run
two at a time on few cores."""
CHECKPOINT_IMAGES = 160
WORKER = "ray::RayTrainWorker"


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=REPO)


def test_a_run_survives_what_happens_to_runs(corpus: Corpus, tmp_path: Path) -> None:
    """Two workers: one is killed, later the job is told to end. One worker: it stands still, then
    the job is killed, and its last checkpoint cut short. Three workers: the end. A shard is damaged
    throughout."""
    damaged, images, out = damage(corpus, tmp_path), 1440, tmp_path / "run"
    arguments = [
        "jobs.pretrain", "nano", "--shards", damaged, "--vocabulary", corpus.vocabulary,
        "--out", str(out), "--schedule.images", str(images), "--schedule.warmup-images", "256",
        "--checkpoint-images", str(CHECKPOINT_IMAGES), "--stream.size", "32",
        "--workers.cpus", "0.5", "--workers.stall-s", "15", "--workers.num-workers",
    ]  # fmt: skip
    job = start(*arguments, "2")
    wait_for(job, more_trained(out))
    os.kill(below(job, WORKER)[-1].pid, signal.SIGKILL)
    wait_for(job, more_trained(out))
    job.terminate()
    assert job.wait(GRACE_S) == TERMINATED
    kept = checkpoints(out)
    assert not (out / "result.json").exists()

    job = start(*arguments, "1")
    wait_for(job, more_trained(out))
    os.kill(below(job, WORKER)[-1].pid, signal.SIGSTOP)
    more = more_trained(out)
    wait_for(job, lambda: len(checkpoints(out) - kept) >= 1 and more())
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


def test_a_killed_run_goes_on_along_the_curve_of_a_whole_one(
    corpus: Corpus, tmp_path: Path
) -> None:
    """Killed after a checkpoint and continued with as many workers, and with 2, 1 and 2."""
    whole = pretrained(corpus, tmp_path / "whole", 1)
    expected = losses(tmp_path / "whole")
    for workers in ((1, 1), (2, 1, 2)):
        out = tmp_path / "".join(map(str, workers))
        for number in workers[:-1]:
            job, known = start(*command(corpus, out, number)), checkpoints(out)
            wait_for(job, lambda out=out, known=known: bool(checkpoints(out) - known))  # type: ignore[misc]  # bound here
            job.kill()
            job.wait()
        assert pretrained(corpus, out, workers[-1])["ledger"] == whole["ledger"]
        found = losses(out)
        steps = [step for step in expected if step in found]
        assert len(steps) > len(expected) - len(workers), "a kill may cost the line it falls on"
        theirs, ours = ([curve[step] for step in steps] for curve in (expected, found))
        if workers == (1, 1):
            assert ours == pytest.approx(theirs, abs=1e-4)
        else:  # batch norm sees a worker's share of a batch
            assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.15)


def test_a_loss_that_is_not_finite_ends_a_run_and_names_its_posts(
    corpus: Corpus, tmp_path: Path
) -> None:
    """The first step throws the weights out of range, the second one's loss is not a number."""
    out = tmp_path / "run"
    absurd = ["--schedule.base-learning-rate", "1e30", "--checkpoint-images", "32"]
    ended = subprocess.run(
        [sys.executable, "-m", *command(corpus, out, 2), *absurd],
        cwd=REPO, capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert ended.returncode == USER_ERROR, ended.stdout + ended.stderr[-3000:]
    assert re.search(r"error: loss is .*(nan|inf).* at image \d+, learning rate", ended.stderr)
    state = load(out / "run" / max(checkpoints(out))).state
    assert f"at image {state.images_seen}," in ended.stderr, "the last checkpoint is of this moment"
    posts = json.loads((out / "offending_posts.json").read_text())
    planned = plan(nano(), Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary))
    ids = pa.array([post["post_id"] for post in posts])
    assert 1 <= len(posts) <= nano().batch
    assert {*post_keys(ids).tolist()} <= {*planned.run.training.index.keys.tolist()}
    assert not (out / "result.json").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 256 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here: needs Linux and root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_costs_checkpoints_not_the_run(corpus: Corpus, small_disk: Path) -> None:
    ballast, out = small_disk / "ballast", small_disk / "run"
    with ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, shutil.disk_usage(small_disk).free - (2 << 20))
    often = [*command(corpus, out, 1), "--checkpoint-images", "64"]
    job = subprocess.Popen(
        [sys.executable, "-m", *often], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    assert job.stdout is not None
    told = []
    for line in job.stdout:
        told.append(line)
        if "warning: no checkpoint at image" in line:
            ballast.unlink(missing_ok=True)
    assert job.wait(LIMIT_S) == 0, told
    assert sum("No space left on device" in line for line in told) >= 1, told
    assert json.loads((out / "result.json").read_text())["counts"]["samples"] == 960
    newest = max(checkpoints(out))
    assert load(out / "run" / newest).state.images_seen == 960


def command(corpus: Corpus, out: Path, workers: int) -> list[str]:
    """A small run in float32."""
    return [
        "jobs.pretrain", "nano", "--shards", corpus.shards, "--vocabulary", corpus.vocabulary,
        "--schedule.images", "960", "--schedule.warmup-images", "256", "--stream.size", "32",
        "--schedule.base-learning-rate", "0.05", "--loss.label-smoothing", "0.1", "--no-bf16",
        "--checkpoint-images", "320", "--log-images", "64", "--workers.cpus", "0.5",
        "--out", str(out), "--workers.num-workers", str(workers),
    ]  # fmt: skip


def pretrained(corpus: Corpus, out: Path, workers: int) -> dict[str, Any]:
    """Result of the command, which runs in this process to the end."""
    arguments = command(corpus, out, workers)[1:]
    return pretrain.main(tyro.cli(pretrain.command_line(), args=arguments))


def losses(out: Path) -> dict[int, float]:
    """The curve that a run's MLflow run holds, in the order of steps."""
    run_id = json.loads((out / "mlflow_run.json").read_text())["run_id"]
    return dict(RunLogger(run_id=run_id).curve("loss"))


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


def more_trained(out: Path) -> Callable[[], bool]:
    """Whether more has been trained on than what was unreported when this was called."""
    before = trained(out)
    return lambda: trained(out) > before + CHECKPOINT_IMAGES


def checkpoints(out: Path) -> set[str]:
    """Names of the checkpoints that Ray Train knows of."""
    return {result["checkpoint_dir_name"] for result in checkpoint_results(out)}


def checkpoint_results(out: Path) -> list[dict[str, Any]]:
    """What Ray Train knows of its checkpoints, each with the metrics reported beside it."""
    try:
        document = json.loads((out / "run" / "checkpoint_manager_snapshot.json").read_text())
    except (FileNotFoundError, ValueError):  # Ray is about to write it
        return []
    return list(document["checkpoint_results"])


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


def small_plan(
    shards: str, vocabulary: str, images: int, checkpoint_images: int = CHECKPOINT_IMAGES
) -> Plan:
    """What the killed job computes."""
    config = nano().shortened(images)
    config = replace(
        config, stream=replace(config.stream, size=32),
        schedule=replace(config.schedule, warmup_images=256), checkpoint_images=checkpoint_images,
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


def test_lost_nodes_and_their_workers_are_done_without(corpus: Corpus, tmp_path: Path) -> None:
    """Three nodes: one is lost at once, one gives notice and goes when a checkpoint is kept."""
    out, here = tmp_path / "run", Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(here), str(REPO / "tests")]),
        "RAY_AUTH_MODE": "disabled", "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "15",
        "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "lose_nodes", corpus.shards, corpus.vocabulary, out],
        cwd=REPO, env=environment, capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    told = json.loads((out / "told.json").read_text())
    assert told["images_seen"] > told["continued_from"] >= told["kept_at_the_notice"] > 0
    planned = small_plan(corpus.shards, corpus.vocabulary, told["images_seen"])
    order = planned.run.training.order().take(0, told["images_seen"])
    assert (told["ledger"], told["nodes"]) == (digest(planned, order), 1)


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
