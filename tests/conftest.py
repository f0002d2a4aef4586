"""Real parts for the tests: one local Ray, an MLflow store and a home folder of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

for variable in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
    os.environ.pop(variable, None)

from hashnext import cluster, settings


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """HASHNEXT_HOME of the test session."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["HASHNEXT_HOME"] = str(folder)
    yield folder
    del os.environ["HASHNEXT_HOME"]


@pytest.fixture(scope="session")
def ray_session(home: Path) -> Iterator[None]:
    """One local Ray for all the tests that need one."""
    with cluster.session():
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; the test is skipped where it is absent."""
    folder = settings.test_data()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set HASHNEXT_TEST_DATA)")
    return folder
