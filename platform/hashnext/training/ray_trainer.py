"""The adapter to Ray Train: a TorchTrainer around `training.worker`, fed by its own Ray Data."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.callback import UserCallback

from hashnext import settings
from hashnext.errors import ConfigError, DataError, StateError, Terminated
from hashnext.progress import Meter
from hashnext.registry.store import RunLogger
from hashnext.storage import Folder
from hashnext.training.best import KeepBest
from hashnext.training.board import open_board, trained_before, watching
from hashnext.training.loop import NotFinite
from hashnext.training.surroundings import RaySurroundings
from hashnext.training.worker import Outcome, Run, Stopped, work
from hashnext.training.workers import WorkersConfig

RUN_NAME = "run"
ANSWER_S = "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"
"""Ray ends a worker that does not answer for so long: one whose process stands still, or its
machine, cannot end itself as `training.heartbeat` has it do."""


@dataclass(frozen=True)
class Refused:
    """A run that would fail again: what a restart cannot mend is handed back, not raised."""

    message: str
    keys: list[int]
    """Of the posts that it is about, if any."""


@dataclass
class LogToMlflow(UserCallback):
    """Writes each report to the MLflow run; Ray calls it in the controller."""

    logger: RunLogger

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        """Log the first worker's metrics at the number of images seen."""
        values = dict(metrics[0])
        self.logger.log(values, step=int(values.pop("images_seen")))


def fit(
    run: Run, out: Folder, workers: WorkersConfig, logger: RunLogger, meter: Meter
) -> tuple[Outcome, Checkpoint]:
    """Run to the end under Ray Train, continuing from what `out` holds.

    Args:
        run: what to compute.
        out: folder of checkpoints, on storage that every node reaches.
        workers: how many, and what each gets.
        logger: an open MLflow run.
        meter: told the images seen.

    Returns:
        The outcome and the last checkpoint.

    Raises:
        ConfigError: the cluster is too small for the workers.
        DataError: the run cannot go on, or does not fit; `NotFinite` with the posts behind it.
        StateError: the run failed more often than `max_failures`.
        Terminated: the process was asked to end, and a checkpoint was kept.
    """
    use_gpu = ray.cluster_resources().get("GPU", 0) > 0
    _check(workers, use_gpu, run.config.stream.streams)
    board = open_board(out)
    trainer = _trainer(
        replace(run, parallel=workers.parallel), board, out, workers, logger, use_gpu
    )
    with (
        _termination() as asked, watching(board, meter, out, asked),
        settings.environment(ANSWER_S, f"{workers.stall_s:g}"),
    ):  # fmt: skip
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise StateError(f"training failed and was not restarted again: {error}") from error
    outcome = _finished(result.return_value)
    assert result.checkpoint is not None
    wasted = trained_before(out) - run.config.schedule.images
    return replace(outcome, wasted=max(wasted, 0)), result.checkpoint


def _trainer(
    run: Run, board: Any, out: Folder, workers: WorkersConfig, logger: RunLogger, use_gpu: bool
) -> Any:
    number: int | tuple[int, int] = workers.num_workers
    if workers.least < workers.num_workers:
        number = workers.least, workers.num_workers
    return ray.train.torch.TorchTrainer(
        _worker,  # type: ignore[arg-type]  # Ray does not type the returned value
        train_loop_config={
            "run": ray.put(run), "board": board, "heartbeat": workers.heartbeat(),
        },
        scaling_config=ScalingConfig(
            num_workers=number,  # type: ignore[arg-type]  # a range is for Train v2
            use_gpu=use_gpu,
            resources_per_worker={"CPU": workers.cpus, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=RunConfig(
            name=RUN_NAME,
            storage_path=out.path,
            storage_filesystem=None if out.is_local else out.filesystem,
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=workers.keep_checkpoints),  # the latest
            callbacks=[LogToMlflow(logger), KeepBest()],  # type: ignore[list-item]  # of Train v2
        ),
    )  # fmt: skip


def _worker(config: dict[str, Any]) -> Outcome | Stopped | Refused:
    around = RaySurroundings.here(config["board"], config["heartbeat"])
    run: Run = ray.get(config["run"])
    try:
        return work(run, around, around.latest())
    except (ConfigError, DataError) as error:  # all workers raise it
        return Refused(str(error), error.keys if isinstance(error, NotFinite) else [])


def _finished(returned: Outcome | Stopped | Refused) -> Outcome:
    """The outcome of a run that came to its end; otherwise the error that tells why it did not."""
    if isinstance(returned, Outcome):
        return returned
    if isinstance(returned, Stopped):
        raise Terminated(f"stopped at image {returned.images_seen:,}, with a checkpoint")
    if returned.keys:
        raise NotFinite(returned.message, returned.keys)
    raise DataError(returned.message)


def _check(workers: WorkersConfig, use_gpu: bool, streams: int) -> None:
    """Refuse what can never start; Ray would wait for ever for workers that do not fit."""
    have = ray.cluster_resources()
    kind, each = ("GPU", 1.0) if use_gpu else ("CPU", workers.cpus)
    needed = workers.least * each
    if needed > have.get(kind, 0):
        raise ConfigError(
            "workers.num-workers", workers.least,
            f"needs {needed:g} {kind}s, the cluster has {have.get(kind, 0):g}",
        )  # fmt: skip
    if workers.num_workers > streams:
        raise ConfigError(
            "workers.num-workers", workers.num_workers,
            f"at most stream.streams = {streams}, the shares of a batch",
        )  # fmt: skip


@contextmanager
def _termination() -> Iterator[threading.Event]:
    """An event that SIGTERM sets while the block runs; a second one ends the process."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            sys.exit(128 + number)
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
