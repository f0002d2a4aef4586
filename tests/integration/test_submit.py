"""Submitting jobs to a Ray cluster that was started apart from us."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
from conftest import Corpus
from processes import kill_tree

from hashnext import settings

REPO = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")

TELL = """
import os
import sys

import hashnext
from hashnext import cluster, settings

print("library", hashnext.__file__)
print("folder", os.getcwd())
print("store", settings.tracking_uri())
print("commit", settings.git_commit())
with cluster.session():
    print("several nodes:", cluster.is_shared())
sys.exit(int(sys.argv[1]))
"""
WAIT = """
import signal
import sys
import time
from pathlib import Path


def slowly(*_: object) -> None:
    time.sleep(5)  # longer than Ray waits by itself
    Path(sys.argv[1]).write_text("whole")
    sys.exit(143)


signal.signal(signal.SIGTERM, slowly)
print("waiting", flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster and how to reach it."""

    address: str
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """Command line of `jobs.submit`."""
        own = ["--address", self.address, "--python", sys.executable]
        return [sys.executable, "-m", "jobs.submit", *own, "--", *arguments]

    def submit(self, *arguments: str, repo: Path = REPO) -> subprocess.CompletedProcess[str]:
        """Run `jobs.submit` to its end."""
        return subprocess.run(
            self.command(*arguments), cwd=repo, env=self.environment, capture_output=True, text=True
        )


@pytest.fixture(scope="module")
def cluster(home: Path) -> Iterator[Cluster]:
    """A cluster of one node on loopback, with a token, ended by the ids of its processes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: it holds Unix sockets
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "4f" * 32}
    environment = os.environ | token | {"HASHNEXT_GIT_COMMIT": "c0ffee"}
    for variable in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        environment.pop(variable, None)
    dashboard, agent, client, gcs = _free_ports(4)
    command = [
        RAY, "start", "--head", "--block", "--disable-usage-stats", f"--temp-dir={folder}",
        "--node-ip-address=127.0.0.1", "--num-cpus=4", f"--port={gcs}",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}",
        "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    with open(folder / "ray-start.log", "w") as log:
        ray = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{dashboard}"
        _wait_for_answer(address, ray, folder / "ray-start.log")
        yield Cluster(address, environment)
    finally:
        kill_tree(ray)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def repo_with_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two jobs beside `jobs.submit`: one tells what it finds, one waits."""
    repo = tmp_path_factory.mktemp("repo")
    shutil.copytree(REPO / "jobs", repo / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    (repo / "jobs" / "tell.py").write_text(TELL)
    (repo / "jobs" / "wait.py").write_text(WAIT)
    return repo


def test_status_logs_code_and_settings_travel(cluster: Cluster, repo_with_jobs: Path) -> None:
    run = cluster.submit("jobs.tell", "3", repo=repo_with_jobs)
    assert run.returncode == 3, run.stderr
    said = dict(line.split(" ", 1) for line in run.stdout.splitlines() if " " in line)
    assert "py_modules" in said["library"], "the library comes with the job"
    assert "working_dir" in said["folder"]
    assert said["store"] == settings.tracking_uri()
    assert said["commit"] == "c0ffee"
    assert "several nodes: False" in run.stdout


def test_logs_come_while_the_job_runs_and_ctrl_c_leaves_it(
    cluster: Cluster, repo_with_jobs: Path, tmp_path: Path
) -> None:
    command = cluster.command("jobs.wait", str(tmp_path / "checkpoint"))
    with subprocess.Popen(
        command, cwd=repo_with_jobs, env=cluster.environment, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        job_id = next(line for line in run.stdout if line.startswith("submitted as")).split()[2]
        assert any(line == "waiting\n" for line in run.stdout), "before the job has ended"
        run.send_signal(signal.SIGINT)
        farewell = run.stdout.read()
    assert run.returncode == 130
    assert f"{job_id} goes on without us" in farewell
    stop = [RAY, "job", "stop", "--address", cluster.address, job_id]
    stopped = subprocess.run(stop, env=cluster.environment, capture_output=True, text=True)
    assert "was stopped" in stopped.stdout, "the command that we print works"
    assert (tmp_path / "checkpoint").read_text() == "whole", "there was time to keep one"


def test_wrong_token_is_explained(cluster: Cluster) -> None:
    stranger = Cluster(cluster.address, cluster.environment | {"RAY_AUTH_TOKEN": "00" * 32})
    run = stranger.submit("jobs.prepare", "--posts", "/p", "--out", "/o")
    assert run.returncode == 2
    assert "RAY_AUTH_TOKEN" in run.stderr


@pytest.mark.slow
def test_prepare_and_pretrain_run_to_the_end(
    cluster: Cluster, corpus: Corpus, tmp_path: Path
) -> None:
    shards, model = (str(tmp_path / name) for name in ("s", "m"))
    short = ["--schedule.images", "128", "--schedule.warmup-images", "32"]
    for command in (
        ["jobs.prepare", "--posts", corpus.posts, "--out", shards],
        [
            "jobs.pretrain",
            "nano",
            "--shards",
            shards,
            "--vocabulary",
            corpus.vocabulary,
            "--out",
            model,
            *short,
        ],
    ):
        run = cluster.submit(*command)
        assert run.returncode == 0, f"{command[0]}\n{run.stdout}\n{run.stderr}"
        assert (tmp_path / Path(command[command.index("--out") + 1]).name / "result.json").is_file()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _wait_for_answer(address: str, ray: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(120):
        assert ray.poll() is None, log.read_text()
        with suppress(URLError, ConnectionError, TimeoutError):
            try:
                urllib.request.urlopen(f"{address}/api/version", timeout=1).close()
            except HTTPError:
                return  # 401: it is up and asks for the token
        time.sleep(0.5)
    raise AssertionError(log.read_text())
