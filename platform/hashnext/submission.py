"""Sending a job to a Ray cluster that runs elsewhere, and following it to its exit status.

The cluster gets a copy of the code (Ray's `working_dir` and `py_modules`), never of the data:
whatever a job reads or writes has to lie where every node finds it.
"""

import re
import shlex
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

import hashnext
from hashnext import settings
from hashnext.errors import ConfigError, StateError

LOCATIONS = (
    "out", "posts", "shards", "vocabulary", "model", "baseline", "train", "test", "probe-train",
    "probe-test", "transfer", "post-ids",
)  # fmt: skip
"""Options of the jobs that name data."""
EXCLUDES = ["/.git", "/.venv", "/.uv", "/.hashnext", "/infra", "/tests", "/runs", "/dist"]
"""What a job does not need of the repository; .gitignore is honoured as well. A pattern such as
`/.*` would match the repository itself, and an empty copy would be uploaded."""
CONNECT_TIMEOUT_S = 5.0
POLL_S = 0.5
STOP_S = 120
"""What a job that is told to stop may take to keep a checkpoint; Ray by itself kills after 3 s."""


def check(command: Sequence[str], repo: Path) -> None:
    """Refuse what would only fail on the cluster, minutes later.

    Args:
        command: module and arguments, such as `("jobs.pretrain", "nano", "--out", "s3://b/run")`.
        repo: folder that holds `jobs/` and its siblings.

    Raises:
        ConfigError: no command, no such job, or a relative path among the arguments, as
            HASHNEXT_HOME or as HASHNEXT_TOMBSTONES.
    """
    if not command:
        raise ConfigError("job", "", "write it behind `--`: ... -- jobs.prepare --posts URI ...")
    module, *arguments = command
    if not repo.joinpath(*module.split(".")).with_suffix(".py").is_file():
        jobs = sorted(f"jobs.{file.stem}" for file in repo.glob("jobs/[a-z]*.py"))
        raise ConfigError("job", module, f"no such module; there are {', '.join(jobs)}")
    for option, value in _options(arguments):
        if option.lstrip("-").replace("_", "-") in LOCATIONS or "/" in value:
            _require_absolute(option, value)
    for key in ("HASHNEXT_HOME", "HASHNEXT_TOMBSTONES"):
        if location := settings.job_environment().get(key):
            _require_absolute(key, location)


def connect(address: str) -> JobSubmissionClient:
    """Client of the cluster whose dashboard is at `address`.

    Raises:
        ConfigError: the address is no http(s) URL.
        StateError: nothing answers there within `CONNECT_TIMEOUT_S`, or it refuses us.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConfigError("--address", address, "must be the head's dashboard: http://HEAD:8265")
    try:
        with suppress(HTTPError):  # an answer, if not a friendly one; the client explains it
            urllib.request.urlopen(f"{address}/api/version", timeout=CONNECT_TIMEOUT_S).close()
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise StateError(
            f"--address {address}: refused; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the "
            "cluster's token"
        ) from error
    except (OSError, RuntimeError) as error:
        raise StateError(
            f"--address {address}: no Ray dashboard answers there ({error})"
        ) from error


def submit(client: JobSubmissionClient, command: Sequence[str], *, repo: Path, python: str) -> str:
    """Upload the code and start the job; returns its id.

    Args:
        client: see `connect`.
        command: see `check`.
        repo: folder that becomes the job's working directory.
        python: interpreter on the head.
    """
    (library,) = hashnext.__path__
    return client.submit_job(
        entrypoint=shlex.join([python, "-m", *command]),
        runtime_env={
            "working_dir": str(repo),
            "py_modules": [library],
            "excludes": EXCLUDES,
            "env_vars": settings.job_environment() | {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)},
        },
    )


async def print_logs(client: JobSubmissionClient, job_id: str) -> None:
    """Print what the job writes, as it comes, until it ends or the connection does."""
    try:
        async for text in client.tail_job_logs(job_id):
            print(text, end="", flush=True)
    except RuntimeError as error:
        print(f"the stream of logs broke off ({error}); waiting for the end of {job_id}")


def exit_status(client: JobSubmissionClient, job_id: str) -> int:
    """Wait for the job's end; the status is its process's own, or 1 when it had none."""
    while not (job := client.get_job_info(job_id)).status.is_terminal():
        time.sleep(POLL_S)
    if job.status == "SUCCEEDED":
        return 0
    print(f"{job_id} {job.status}: {job.message}")
    return job.driver_exit_code or 1


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each value with the option that it belongs to; `--key value` and `--key=value`."""
    option = "argument"
    for word in arguments:
        if not word.startswith("--"):
            yield option, word
            option = "argument"
        elif "=" in word:
            key, _, value = word.partition("=")
            yield key, value
        else:
            option = word


def _require_absolute(key: str, location: str) -> None:
    if not location.startswith("/") and not re.match(r"[a-z][a-z0-9+.-]*:", location):
        raise ConfigError(
            key, location,
            "a relative path means nothing on the cluster; give an absolute path or a URI there",
        )  # fmt: skip
