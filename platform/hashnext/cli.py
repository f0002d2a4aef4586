"""What every job's command line shares: parse, run, say what went wrong, exit with a status."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from hashnext.errors import HashNextError
from hashnext.outputs import JobFolder, flatten

Job = TypeVar("Job")

USER_ERROR = 2
INTERRUPTED = 130


def run(job_type: Any, main: Callable[[Job], object], description: str | None) -> None:
    """Parse the command line into `job_type`, run `main` and exit non-zero on any failure.

    A `HashNextError` is the user's to mend: its message goes to stderr without a traceback and the
    status is 2. Anything else is ours and keeps its traceback.
    """
    try:
        job: Job = tyro.cli(job_type, description=description)
        main(job)
    except HashNextError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)


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
