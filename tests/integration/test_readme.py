"""README.md is honest: each of its commands is accepted by its program, and it runs."""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from hashnext.settings import git_commit
from tests.command_lines import parse

REPO = Path(__file__).resolve().parents[2]
NOT_RUN = {
    "make": "CI runs check, test and test-slow; a test of its own runs the quickstart",
    "uv run -m jobs.quickstart": "a test of its own runs it",
    "uv run -m jobs.submit": "needs a cluster; tests/integration/test_submit.py has one",
    "docker": "needs Docker; tests/unit/test_infra.py reads the Dockerfile",
    "kubectl": "needs Kubernetes; tests/unit/test_infra.py reads the manifests",
}
"""Start of a command, and why it is not run here."""
SMALLER = {
    "--num-posts 3000": "--num-posts 600",
    "jobs.pretrain nano": "jobs.pretrain nano --schedule.images 800 --schedule.warmup-images 100",
    "--out runs/sweep": "--out runs/sweep --images 160 --space.alpha 0.5",
}
"""What the README says, and what is run instead to save time."""
IN_ONE_PROCESS = """
import json
import runpy
import sys

from hashnext import cluster

with cluster.session():
    for number, (module, *arguments) in enumerate(json.loads(sys.argv[1])):
        print(f"=== {number} {module}", flush=True)
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if end.code:
                raise
"""
"""Runs modules one after the other, as programs that share imports and Ray: starting each would
take longer than what it does. The quickstart's test and others start jobs from the command line."""
START_LIMIT_S = 120


def commands() -> list[str]:
    """Every command of the README's `sh` blocks, in order, without its comment."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (REPO / "README.md").read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def is_run(command: str) -> bool:
    """False when `NOT_RUN` tells why not."""
    return not any(re.match(rf"{re.escape(start)}\b", command) for start in NOT_RUN)


def test_no_reason_is_left_over() -> None:
    for start in NOT_RUN:
        assert any(command.startswith(start) for command in commands()), start
    for said in SMALLER:
        assert any(said in command for command in commands()), said


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("uv run")])
def test_arguments_are_accepted(command: str) -> None:
    _, _, *words = shlex.split(command)
    parse(["python", *words])


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make")])
def test_make_has_the_target(command: str) -> None:
    assert re.search(rf"^{command.split()[1]}:", (REPO / "Makefile").read_text(), re.MULTILINE)


def test_files_that_the_readme_names_exist() -> None:
    text = (REPO / "README.md").read_text()
    named = re.findall(r"\]\((?!http)([^)]+)\)|(?:-f|file) (infra/\S+)", text)
    assert len(named) >= 4
    headings = {
        "#" + re.sub(r"[ ]", "-", line.lower()) for line in re.findall(r"^#+ (.*)", text, re.M)
    }
    for link, file in named:
        assert link in headings or (REPO / (link or file)).exists(), link or file


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("jobs", "serve", "tuning"):
        shutil.copytree(REPO / folder, tmp_path / folder)
    Image.linear_gradient("L").save(tmp_path / "photo.jpg")
    (tmp_path / "takedown.txt").write_text("post0000001\npost0000002\n")
    monkeypatch.setenv("HASHNEXT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HASHNEXT_GIT_COMMIT", git_commit())  # the copy has no git
    port = _free_port()
    words = [_words(command, port) for command in filter(is_run, commands())]
    modules = [each[2:] for each in words if each[:2] == [sys.executable, "-m"]]
    served = next(number for number, each in enumerate(modules) if each[0] == "serve.app")
    _run_all(modules[:served], tmp_path)
    server = subprocess.Popen([sys.executable, "-m", *modules[served]], cwd=tmp_path)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", server)
        for other in (each for each in words if each[0] != sys.executable):
            subprocess.run(other, cwd=tmp_path, check=True)
        _run_all(modules[served + 1 :], tmp_path)
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(START_LIMIT_S) == 0


def _run_all(modules: list[list[str]], folder: Path) -> None:
    script = [sys.executable, "-c", IN_ONE_PROCESS, json.dumps(modules)]
    run = subprocess.run(script, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"


def _words(command: str, port: int) -> list[str]:
    """The command as it is run here: shorter, in this environment, on a free port."""
    for said, instead in SMALLER.items():
        command = command.replace(said, instead)
    words = shlex.split(command.replace("8000", str(port)))
    return [sys.executable, *words[2:]] if words[:2] == ["uv", "run"] else words


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the endpoint stopped with {server.returncode}"
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.5)
    raise AssertionError(f"{url} did not answer in {START_LIMIT_S} s")
