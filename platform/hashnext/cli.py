"""What every job's command line shares: parse, run, say what went wrong, exit with a status."""

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from hashnext.errors import HashNextError, Terminated
from hashnext.outputs import JobFolder

Job = TypeVar("Job")

_IN_TASK = re.compile(r"^hashnext\.errors\.\w+: (.*)$", re.MULTILINE)
USER_ERROR = 2
INTERRUPTED = 130
TERMINATED = 143


def run(job_type: Any, main: Callable[[Job], object], description: str | None) -> None:
    """Parse the command line into `job_type`, run `main` and exit non-zero on any failure.

    A `HashNextError` is the user's to mend: its message goes to stderr without a traceback and the
    status is 2. Anything else is ours and keeps its traceback.
    """
    try:
        job: Job = tyro.cli(job_type, description=description)
        main(job)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Terminated as stopped:
        print(f"{stopped}; run the same command again to continue", file=sys.stderr)
        sys.exit(TERMINATED)
    except Exception as error:
        if (mistake := users_mistake(error)) is None:
            raise
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(USER_ERROR)


def users_mistake(error: Exception) -> str | None:
    """Message of the `HashNextError` that an error is, or that a Ray task died of; else None.

    Ray Data raises an error of its own in the task, which keeps of ours only the traceback's text.
    """
    if isinstance(error, HashNextError):
        return str(getattr(error, "cause", error))  # Ray's double of it adds a traceback
    if type(error).__module__.startswith("ray.") and (found := _IN_TASK.findall(str(error))):
        return str(found[-1])
    return None


def report(folder: JobFolder) -> dict[str, Any]:
    """Print the result of a finished job, say when it was finished before, and return it."""
    result = folder.result()
    if folder.finished:
        print(f"{folder.folder.location}: finished before with these settings; nothing to do")
    shown = {key: value for key, value in result.items() if key != "settings"}
    print_table(folder.folder.location, readable(shown))
    return result


def readable(figures: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Rows of a table: one a figure, named as in JSON; no lists.

    `low` and `high` are the ends of the interval of the figure before them, and go behind it; so do
    the figures of the same names in a `baseline`.
    """
    rows: dict[str, str] = {}
    name, baseline = prefix, figures.get("baseline")
    beside: Mapping[str, Any] = baseline if isinstance(baseline, Mapping) else {}
    has_ends = {"low", "high"} < figures.keys() and next(iter(figures)) not in ("low", "high")
    for key, value in figures.items():
        if isinstance(value, Mapping):
            others = {k: v for k, v in value.items() if key != "baseline" or k not in figures}
            rows |= readable(others, f"{prefix}{key}.")
        elif has_ends and key in ("low", "high"):
            if key == "low" and value is not None:
                rows[name] += f"  ({_shown(value)} to {_shown(figures['high'])})"
        elif not isinstance(value, list):
            name = prefix.rstrip(".") if key == "mean" else prefix + key
            theirs = f"  baseline {_shown(beside[key])}" if key in beside else ""
            rows[name] = _shown(value) + theirs
    return rows


def print_table(title: str, rows: Mapping[str, object]) -> None:
    """Print a two-column table: what, and its figure; lines set groups such as `counts.` apart."""
    table, above = Table(title=title, show_header=False, title_justify="left"), ""
    for key, value in rows.items():
        if "." in key + above and key.split(".")[0] != above.split(".")[0]:
            table.add_section()
        table.add_row(key, _shown(value))
        above = key
    Console().print(table)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
