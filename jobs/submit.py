"""Run a job on a Ray cluster: upload the code, stream its logs, return its exit status.

    uv run -m jobs.submit --address http://HEAD:8265 -- jobs.pretrain nano --shards s3://...

HASHNEXT_*, MLFLOW_TRACKING_URI and where S3 is (AWS_ENDPOINT_URL, AWS_REGION) are passed on; keys
are not. A cluster that asks for a token gets RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from hashnext import cli, submission

REPO = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Submit:
    """A job and the cluster to run it on."""

    command: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="-- JOB [ARGUMENT ...]")]
    """Behind `--`, at the end: the job's module and its arguments; every path absolute or a URI."""
    address: str
    """The head's dashboard, such as http://HEAD:8265."""
    python: str = "python"
    """Interpreter on the head; plain `python` is whatever is in the head's PATH."""


def main(job: Submit) -> None:
    """Submit, follow, and exit as the job does. Ctrl-C leaves the job running."""
    submission.check(job.command, REPO)
    client = submission.connect(job.address)
    job_id = submission.submit(client, job.command, repo=REPO, python=job.python)
    print(f"submitted as {job_id} to {job.address}", flush=True)
    try:
        asyncio.run(submission.print_logs(client, job_id))
        sys.exit(submission.exit_status(client, job_id))
    except KeyboardInterrupt:
        print(
            f"\n{job_id} goes on without us\n"
            f"  follow it:  uv run ray job logs --follow --address {job.address} {job_id}\n"
            f"  stop it:    uv run ray job stop --address {job.address} {job_id}"
        )
        sys.exit(cli.INTERRUPTED)


if __name__ == "__main__":
    cli.run(Submit, main, __doc__)
