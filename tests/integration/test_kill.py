"""Kill -9 in the middle: the same command again ends where an undisturbed run would have ended."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Corpus

from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.recipes import nano
from hashnext.storage import Folder
from hashnext.training.local import run_locally
from hashnext.training.pretrain import plan
from hashnext.training.worker import Outcome

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


def test_a_killed_pretraining_continues_to_the_same_ledger(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    arguments = [
        "jobs.pretrain", "nano", "--shards", corpus.shards, "--vocabulary", corpus.vocabulary,
        "--out", str(out), "--schedule.images", "1600", "--schedule.warmup-images", "256",
        "--checkpoint-images", "320", "--stream.size", "32",
    ]  # fmt: skip
    snapshot = out / "run" / "checkpoint_manager_snapshot.json"
    kill_once(start(*arguments), lambda: snapshot.exists() and any(out.glob("run/checkpoint_2*")))
    assert not (out / "result.json").exists()
    assert start(*arguments).wait(LIMIT_S) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["ledger"] == undisturbed(corpus, tmp_path, images=1600).ledger
    assert result["counts"]["samples"] == 1600


def undisturbed(corpus: Corpus, folder: Path, images: int) -> Outcome:
    """The same run, never killed, in this process."""
    config = nano().shortened(images)
    config = replace(
        config, stream=replace(config.stream, size=32),
        schedule=replace(config.schedule, warmup_images=256), checkpoint_images=320,
    )  # fmt: skip
    planned = plan(config, Folder.at(corpus.shards), Vocabulary.load(corpus.vocabulary))
    return run_locally(planned.run, folder / "undisturbed", threads=2)[0]


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
