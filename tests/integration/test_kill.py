"""Kill -9 in the middle: the same command again ends where an undisturbed run would have ended."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Corpus

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
    def arguments(out: Path) -> list[str]:
        return [
            "jobs.pretrain", "nano", "--shards", corpus.shards, "--vocabulary", corpus.vocabulary,
            "--out", str(out), "--schedule.images", "2560", "--schedule.warmup-images", "256",
            "--checkpoint-images", "640", "--stream.size", "32",
        ]  # fmt: skip

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    snapshot = killed / "run" / "checkpoint_manager_snapshot.json"
    process = start(*arguments(killed))
    kill_once(
        process, lambda: snapshot.exists() and len(list(killed.glob("run/checkpoint_2*"))) > 0
    )
    assert not (killed / "result.json").exists()
    assert start(*arguments(killed)).wait(LIMIT_S) == 0
    assert start(*arguments(whole)).wait(LIMIT_S) == 0
    results = [json.loads((out / "result.json").read_text()) for out in (killed, whole)]
    assert results[0]["ledger"] == results[1]["ledger"]
    assert results[0]["counts"]["samples"] == 2560


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
