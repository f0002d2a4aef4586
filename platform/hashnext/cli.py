"""What every job's command line shares: parse, run, say what went wrong, exit with a status."""

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from hashnext.errors import HashNextError, Terminated
from hashnext.outputs import JobFolder, flatten

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
    shown = {k: v for k, v in result.items() if k != "settings" and not isinstance(v, list)}
    print_table(folder.folder.location, flatten(shown))
    return result


def print_table(title: str, rows: Mapping[str, object]) -> None:
    """Print a two-column table: what, and its figure."""
    table = Table(title=title, show_header=False, title_justify="left")
    for key, value in rows.items():
        table.add_row(key, _shown(value))
    Console().print(table)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
