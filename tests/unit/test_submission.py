"""What is refused before a job is sent anywhere."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashnext import settings, submission
from hashnext.errors import ConfigError, StateError

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--posts", "/data/posts.parquet", "--out", "s3://bucket/shards"),
        ("--posts=gs://bucket/posts", "--out=/data/out", "--size", "128"),
        ("nano", "--shards", "file:///data/s", "--resampling.alpha", "0.5"),
        ("--model", "models:/hashnext@champion", "--assume-public"),
    ],
)
def test_absolute_locations_pass(arguments: tuple[str, ...]) -> None:
    submission.check(("jobs.submit", *arguments), REPO)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--posts", "posts.parquet"), "--posts = 'posts.parquet'"),
        (("--out=out",), "--out = 'out'"),
        (("--probe_train", "probe.parquet"), "--probe_train = 'probe.parquet'"),
        (("--exclude-similar-to", "../photos"), "--exclude-similar-to = '../photos'"),
        (("runs/nano",), "argument = 'runs/nano'"),
    ],
)
def test_relative_locations_are_refused(arguments: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError, match="absolute path or a URI") as refused:
        submission.check(("jobs.submit", *arguments), REPO)
    assert named in str(refused.value)


def test_unknown_job_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"job = 'jobs.pretran': .* jobs\.submit"):
        submission.check(("jobs.pretran",), REPO)


def test_missing_command_tells_where_it_goes() -> None:
    with pytest.raises(ConfigError, match="behind `--`"):
        submission.check((), REPO)


@pytest.mark.parametrize("key", ["HASHNEXT_HOME", "HASHNEXT_TOMBSTONES"])
def test_relative_state_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(key, ".hashnext")
    with pytest.raises(ConfigError, match=rf"{key} = '\.hashnext'"):
        submission.check(("jobs.submit",), REPO)


def test_settings_and_commit_are_passed_on_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.test")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.setenv("HASHNEXT_HOME", "/data/home")
    monkeypatch.setenv("HASHNEXT_CORES", "3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    passed = settings.job_environment()
    assert passed["HASHNEXT_GIT_COMMIT"] == settings.git_commit()
    assert passed["HASHNEXT_HOME"] == "/data/home"
    assert passed["MLFLOW_TRACKING_URI"] == "http://mlflow.test"
    assert passed["AWS_ENDPOINT_URL"] == "http://minio.test"
    assert "HASHNEXT_CORES" not in passed, "that of this machine"
    assert "secret" not in passed.values(), "a job's settings are shown to everybody"


def test_address_must_be_http() -> None:
    with pytest.raises(ConfigError, match="http://HEAD:8265"):
        submission.connect("ray://head:10001")


def test_address_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StateError, match="no Ray dashboard"):
        submission.connect(f"http://127.0.0.1:{port}")


def test_address_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(StateError, match="timed out"):
            submission.connect(f"http://127.0.0.1:{server.getsockname()[1]}")
    assert time.monotonic() - started < 5


def test_a_broken_stream_of_logs_is_no_failure_of_the_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Proxy:
        async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
            yield "first line\n"
            raise RuntimeError("idle for 60 s")

    client: Any = Proxy()
    asyncio.run(submission.print_logs(client, "job-1"))
    assert capsys.readouterr().out.startswith("first line\nthe stream of logs broke off (idle")
