"""The MLflow store, and one run in it: parameters, metrics by step, artifacts.

Only a driver or a Ray controller writes here. Without `MLFLOW_TRACKING_URI` the store is a SQLite
file in HASHNEXT_HOME with the artifacts beside it. Registered models are in `versions.py`.
"""

import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from hashnext import settings
from hashnext.errors import StateError
from hashnext.outputs import flatten

REACHABLE_WITHIN_S = 5.0
PARAMS_PER_CALL = 100
"""MLflow's limit; 1000 metrics per call are allowed, and no caller of ours has as many."""
PARAM_LENGTH = 6000
KEY_LENGTH = 250

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(kw_only=True)
class RunLogger:
    """Writes one MLflow run; can be pickled and used in another process of the same machine.

    Example:
        log = RunLogger()
        log.open("pretrain", "nano", params={"batch_size": 64}, tags={})
        log.log({"loss": 2.3}, step=100)
        log.finish("FINISHED")
    """

    run_id: str | None = None
    """The run to write to; set by `open`, or given to continue a run opened elsewhere."""
    tracking_uri: str = field(default_factory=settings.tracking_uri)
    """Resolved where the logger is made, because Ray's workers have other working folders."""

    def open(
        self, experiment: str, run_name: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> str:
        """Start a run and return its id.

        Args:
            experiment: made when missing.
            run_name: shown in MLflow's list; need not be unique.
            params: nested settings; logged flat, as `model.groups`.
            tags: fingerprints and other short texts.

        Raises:
            StateError: the store cannot be reached or refuses.
        """
        client = connect(self.tracking_uri)
        with refusals_named(self.tracking_uri):
            run = client.create_run(
                _experiment(client, experiment), run_name=run_name, tags=dict(tags)
            )
            self.run_id = str(run.info.run_id)
            flat = [
                Param(mlflow_key(key), str(value)[:PARAM_LENGTH])
                for key, value in flatten(dict(params)).items()
            ]
            for start in range(0, len(flat), PARAMS_PER_CALL):
                client.log_batch(self.run_id, params=flat[start : start + PARAMS_PER_CALL])
        return self.run_id

    def reopen(self) -> bool:
        """Go on with the run of `run_id`; False where the store does not know it.

        Raises:
            StateError: the store cannot be reached.
        """
        client = connect(self.tracking_uri)
        try:
            client.update_run(self._opened(), status="RUNNING")
        except MlflowException:
            return False
        return True

    def curve(self, metric: str) -> list[tuple[int, float]]:
        """Points (step, value) of a metric, ascending; of a step done twice, the later value."""
        with refusals_named(self.tracking_uri):
            points = _client(self.tracking_uri).get_metric_history(
                self._opened(), mlflow_key(metric)
            )
        ordered = sorted(points, key=lambda point: point.timestamp)
        return sorted({point.step: point.value for point in ordered}.items())

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add one point to each metric's curve."""
        now_ms = int(time.time() * 1000)
        points = [Metric(mlflow_key(k), float(v), now_ms, step) for k, v in metrics.items()]
        with refusals_named(self.tracking_uri):
            _client(self.tracking_uri).log_batch(self._opened(), metrics=points)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags on the run."""
        with refusals_named(self.tracking_uri):
            _client(self.tracking_uri).log_batch(
                self._opened(), tags=[RunTag(key, value) for key, value in tags.items()]
            )

    def artifacts(self, path: Path, under: str | None = None) -> None:
        """Copy a file, or all files of a folder, into the run's artifacts, below `under`."""
        with refusals_named(self.tracking_uri):
            client = _client(self.tracking_uri)
            copy = client.log_artifacts if path.is_dir() else client.log_artifact
            copy(self._opened(), str(path), under)

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run."""
        with refusals_named(self.tracking_uri):
            _client(self.tracking_uri).set_terminated(self._opened(), status)

    def _opened(self) -> str:
        assert self.run_id is not None, "open() comes first"
        return self.run_id


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the store, after a look whether its server answers.

    MLflow itself would retry for minutes.

    Raises:
        StateError: no answer within 5 seconds.
    """
    if tracking_uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(f"{tracking_uri.rstrip('/')}/health", timeout=REACHABLE_WITHIN_S)
        except urllib.error.HTTPError:
            pass  # something answers there; MLflow's own message will be better than ours
        except OSError as error:
            raise StateError(
                f"MLFLOW_TRACKING_URI = {shown(tracking_uri)}: no answer within "
                f"{REACHABLE_WITHIN_S:g} s ({error}); start the server or unset the variable"
            ) from error
    return _client(tracking_uri)


@contextmanager
def refusals_named(tracking_uri: str) -> Iterator[None]:
    """Turn MLflow's refusals inside the block into StateError, with the store's address."""
    try:
        yield
    except MlflowException as error:
        raise StateError(f"MLflow at {shown(tracking_uri)}: {error.message}") from error


def shown(tracking_uri: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/@]*@", "//***@", tracking_uri)


def mlflow_key(key: str) -> str:
    """A name that MLflow accepts: `precision@1` becomes `precision_at_1`."""
    return re.sub(r"[^\w\-. /:]", "_", key.replace("@", "_at_"), flags=re.ASCII)[:KEY_LENGTH]


def _client(tracking_uri: str) -> MlflowClient:
    for name in ("mlflow", "alembic"):  # the first use narrates every database migration
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        # MLflow's own default for a local store is a folder in the current directory.
        local = (settings.home() / "mlartifacts").as_uri()
        shared = settings.tracking_is_shared()
        try:
            return str(client.create_experiment(name, None if shared else local))
        except MlflowException:  # another job has just made it
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)
