"""Joining a Ray cluster, or starting a private local one."""

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from hashnext import settings
from hashnext.errors import ConfigError
from hashnext.storage import is_uri

LOCAL_CPUS = max(4, os.cpu_count() or 1)
"""Logical CPUs of a local Ray: pools, trials and controllers would deadlock on two."""
WATCHER = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
"""Whether Ray Train has an actor look for notices of nodes; a machine alone gives none."""


@contextmanager
def session() -> Iterator[None]:
    """Have Ray for the time of the block.

    Joins the cluster at `RAY_ADDRESS` when that is set (a submitted job finds it set); else starts
    a local Ray on loopback with its own folder and token, and stops it at the end. Inside another
    session it does nothing.

    Raises:
        ConfigError: HASHNEXT_CORES is no number above 0: a worker would notice only later.
    """
    settings.cores()
    if ray.is_initialized():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="hashnext-", ignore_cleanup_errors=True) as folder:
        ray.init(**(_join() if settings.ray_address() else _local(Path(folder))))
        try:
            _configure_data()
            yield
        finally:
            ray.shutdown()


def is_shared() -> bool:
    """True when the current Ray has more than one node."""
    return len([node for node in ray.nodes() if node["Alive"]]) > 1


def require_shared_locations(**locations: str) -> None:
    """Refuse what other machines could not read, before any work starts.

    Raises:
        ConfigError: Ray has several nodes and a location is a relative path, MLflow would go to a
            local file, or nobody has said where the posts taken down are recorded.
    """
    if not is_shared():
        return
    for key, value in locations.items():
        if not is_uri(value) and not Path(value).is_absolute():
            raise ConfigError(
                key, value, "relative path on a cluster of several nodes; use shared storage"
            )
    if not settings.tracking_is_shared():
        raise ConfigError(
            "MLFLOW_TRACKING_URI", settings.tracking_uri(),
            "a local file on a cluster of several nodes; start an MLflow server and name it",
        )  # fmt: skip
    if not settings.tombstones_are_shared():
        raise ConfigError(
            "HASHNEXT_TOMBSTONES", str(settings.own_tombstones()),
            "a folder of this machine on a cluster of several nodes; name the shared one",
        )  # fmt: skip


def _join() -> dict[str, Any]:
    return {"address": settings.ray_address(), "log_to_driver": True, "logging_level": "WARNING"}


def _local(folder: Path) -> dict[str, Any]:
    # A token of this session's own: Ray would otherwise write one into the user's home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")  # else a line for every execution
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {
        "address": "local",
        "num_cpus": LOCAL_CPUS,
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": "ERROR",
        "_temp_dir": str(folder),
        "_node_ip_address": "127.0.0.1",
        "runtime_env": {"env_vars": {"PYTHONPATH": path, WATCHER: "0"}},
    }


def _configure_data() -> None:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 16 << 20
    context.execution_options.preserve_order = True
