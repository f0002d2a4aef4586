"""Environment variables, read here and nowhere else.

| variable               | meaning                                             | default         |
|------------------------|-----------------------------------------------------|-----------------|
| HASHNEXT_HOME          | local state: MLflow, artifacts, Ray, features       | .hashnext       |
| MLFLOW_TRACKING_URI    | MLflow store shared by a team                       | SQLite in HOME  |
| RAY_ADDRESS            | cluster to join instead of starting a local one     | a local Ray     |
| HASHNEXT_TEST_DATA     | real data for tests and benchmarks                  | ../shared/data  |
| HASHNEXT_GIT_COMMIT    | commit recorded as lineage where there is no git    | git's HEAD      |
| HASHNEXT_TOMBSTONES    | posts taken down: folder or URI that all jobs share | in HOME         |
| HASHNEXT_CORES         | cores of this machine that networks may use         | all             |
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from hashnext.errors import ConfigError

CORES = "HASHNEXT_CORES"
ADDRESSES = (
    "MLFLOW_TRACKING_URI", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION",
    "AWS_DEFAULT_REGION",
)  # fmt: skip
"""Variables that say where servers are; those of AWS are read by pyarrow."""


def home() -> Path:
    """Folder of local state, absolute; created when missing."""
    path = _home()
    path.mkdir(parents=True, exist_ok=True)
    return path


def shared_tombstones() -> str | None:
    """Path or URI of the posts taken down, or None when they lie in HASHNEXT_HOME."""
    return os.environ.get("HASHNEXT_TOMBSTONES") or None


def own_tombstones() -> Path:
    """Folder of the posts taken down where no shared one is named; it may not exist."""
    return _home() / "tombstones"


def tombstones_are_shared() -> bool:
    """True when somebody has said where they lie, so that they do not follow a working folder."""
    return bool(shared_tombstones() or os.environ.get("HASHNEXT_HOME"))


def tracking_uri() -> str:
    """MLflow tracking URI; an absolute SQLite path, because Ray workers change their cwd."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def tracking_is_shared() -> bool:
    """True when the store can be reached from other machines."""
    return not tracking_uri().startswith(("sqlite:", "file:"))


def ray_address() -> str | None:
    """Address of the cluster to join, or None for a local Ray."""
    return os.environ.get("RAY_ADDRESS") or None


def test_data() -> Path:
    """Folder of real data for tests and benchmarks; it may not exist."""
    return Path(os.environ.get("HASHNEXT_TEST_DATA", "../shared/data")).resolve()


def cores() -> int:
    """Cores of this machine that networks may use.

    Programs that each start a thread for every core wait for each other at the end of every layer;
    and in a container `os.cpu_count` tells the machine's, not the container's.

    Raises:
        ConfigError: HASHNEXT_CORES is no number above 0.
    """
    value = os.environ.get(CORES) or str(os.cpu_count() or 1)
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(CORES, value, "must be a whole number above 0")
    return int(value)


def sharing_cores(programs: int) -> AbstractContextManager[None]:
    """Let `cores` tell this process its share, at least 1, where so many use the machine."""
    return environment(CORES, str(max(1, cores() // programs)))


@contextmanager
def environment(key: str, value: str) -> Iterator[None]:
    """An environment variable for as long as the block runs."""
    before = os.environ.get(key)
    os.environ[key] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before


def git_commit() -> str:
    """Commit of the running code, or 'unknown' outside a checkout."""
    if commit := os.environ.get("HASHNEXT_GIT_COMMIT"):
        return commit
    try:
        return subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _home() -> Path:
    return Path(os.environ.get("HASHNEXT_HOME", ".hashnext")).resolve()


def job_environment() -> dict[str, str]:
    """Variables that a submitted job must see as we do; its copy of the code has no git.

    Keys of an object store are not among them: they would be shown with the job. Its nodes have
    their own, and their own number of cores.
    """
    ours = {key: value for key, value in os.environ.items() if key.startswith("HASHNEXT_")}
    ours.pop(CORES, None)
    ours |= {key: os.environ[key] for key in ADDRESSES if os.environ.get(key)}
    return ours | {"HASHNEXT_GIT_COMMIT": git_commit()}
