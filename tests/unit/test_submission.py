"""What is refused before a job is sent anywhere."""

import socket
import time
from pathlib import Path

import pytest

from hashnext import submission
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
    submission.check_command(("jobs.submit", *arguments), REPO)


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
        submission.check_command(("jobs.submit", *arguments), REPO)
    assert named in str(refused.value)


def test_unknown_job_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"job = 'jobs.pretran': .* jobs\.submit"):
        submission.check_command(("jobs.pretran",), REPO)


def test_missing_command_tells_where_it_goes() -> None:
    with pytest.raises(ConfigError, match="behind `--`"):
        submission.check_command((), REPO)


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
