"""Parsing the commands that README and infra/ show with the very parsers of the programs."""

import importlib.util
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import tyro

from hashnext import cli, submission

REPO = Path(__file__).resolve().parents[1]


def parse(words: Sequence[str]) -> None:
    """Parse `python -m MODULE ...`, `ray start ...` or `mlflow server ...`.

    Raises:
        AssertionError: the program, the module or an argument does not exist.
    """
    match words:
        case ["python", "-m", module, *arguments]:
            _parse_module(module, arguments)
        case ["ray", "start", *arguments]:
            from ray.scripts.scripts import start

            start.make_context("start", list(arguments))
        case ["mlflow", "server", *arguments]:
            from mlflow.cli import server

            server.make_context("server", list(arguments))
        case _:
            raise AssertionError(f"no parser for {' '.join(words)}")


def _parse_module(module: str, arguments: list[str]) -> None:
    """Run the module as a program, but only up to the end of its parsing."""
    assert importlib.util.find_spec(module), f"no module {module}"
    parsed: list[object] = []

    def parse_only(job_type: object, main: Callable[..., object], description: str | None) -> None:
        try:
            parsed.append(tyro.cli(job_type, args=arguments))  # type: ignore[call-overload]
        except SystemExit as error:
            raise AssertionError(f"{module} does not accept {' '.join(arguments)}") from error

    with patch.object(cli, "run", parse_only), patch.dict(sys.modules):
        sys.modules.pop(module, None)  # run afresh, without runpy's warning
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert parsed, f"{module} is no program"
    if module == "jobs.submit":
        command = arguments[arguments.index("--") + 1 :]
        submission.check(command, REPO)
        _parse_module(command[0], command[1:])
