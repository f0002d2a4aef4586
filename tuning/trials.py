"""Running the trials of a sweep under Ray Tune."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.tune

from hashnext.errors import ConfigError, StateError
from hashnext.evaluation.labelled import LabelledSet
from hashnext.progress import Meter
from hashnext.training.pretrain import Plan
from tuning.leaderboard import Row, ranked
from tuning.spaces import Point
from tuning.trial import trainable


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where trials run; changes the sweep's speed, not its result."""

    concurrent: int = 2
    """Trials at a time."""
    cpus: float = 1
    """Logical CPUs of a trial, besides those that decode for it; a GPU too where there are any."""

    def __post_init__(self) -> None:
        if self.concurrent < 1:
            raise ConfigError("placement.concurrent", self.concurrent, "must be at least 1")
        if self.cpus <= 0:
            raise ConfigError("placement.cpus", self.cpus, "must be positive")


def run_trials(
    plans: list[tuple[Point, Plan]],
    probe: LabelledSet,
    out: Path,
    placement: Placement,
    meter: Meter,
) -> list[Row]:
    """Run every trial, retrying each once, and rank them.

    Args:
        plans: the points of the grid with their runs.
        probe: training set of the transfer probe.
        out: the sweep's folder.
        placement: how many at a time.
        meter: told the trials that have finished.

    Raises:
        StateError: no trial finished.
    """
    runs = {point.name: run for point, run in plans}
    function = ray.tune.with_parameters(
        trainable, plans=runs, probe=probe, out=str(out), share=placement.concurrent
    )
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    results = ray.tune.Tuner(
        ray.tune.with_resources(function, {"cpu": placement.cpus, "gpu": 1 if has_gpu else 0}),
        param_space={"name": ray.tune.grid_search(list(runs))},
        tune_config=ray.tune.TuneConfig(
            max_concurrent_trials=placement.concurrent, reuse_actors=True
        ),
        run_config=ray.tune.RunConfig(
            name="tune", storage_path=str(out), verbose=0, callbacks=[_Count(meter)],
            failure_config=ray.tune.FailureConfig(max_failures=1),
        ),
    ).fit()  # fmt: skip
    rows = ranked([_row(point, results) for point, _ in plans])
    if rows[0].metrics is None:
        raise StateError(f"no trial finished; the first error: {rows[0].error}")
    return rows


def _row(point: Point, results: ray.tune.ResultGrid) -> Row:
    for index in range(len(results)):
        result = results[index]
        if (result.config or {})["name"] == point.name:
            metrics = None if result.error else result.metrics
            return Row(point, metrics, str(result.error or ""))
    raise AssertionError(f"Ray Tune lost the trial {point.name}")


class _Count(ray.tune.Callback):
    """Counts the trials that have finished."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.done = 0

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.done += 1
        self.meter.update(self.done, trial.config["name"])
