"""The adapter to Ray Train: a TorchTrainer around `training.worker`, fed by its own Ray Data."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.callback import UserCallback
from torch import distributed

from hashnext.errors import ConfigError, StateError
from hashnext.progress import Meter
from hashnext.registry.store import RunLogger
from hashnext.storage import Folder
from hashnext.training.loop import Metrics
from hashnext.training.worker import Outcome, Run, work

T = TypeVar("T")
RUN_NAME = "run"
POLL_S = 0.5
PROGRESS = "progress.json"
"""How far all attempts have come together; rewritten while a run is watched."""


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """The workers of a run; changes its speed, not what it computes."""

    num_workers: int = 1
    """Training workers; each takes one GPU where the cluster has any."""
    cpus: float = 1
    """Logical CPUs of each worker; decoding has its own."""
    max_failures: int = 3
    """Restarts from the latest checkpoint after a worker or node is lost."""
    keep_checkpoints: int = 2
    """Checkpoints kept, the latest ones."""

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise ConfigError("workers.num-workers", self.num_workers, "must be at least 1")
        if self.cpus <= 0:
            raise ConfigError("workers.cpus", self.cpus, "must be positive")
        if self.keep_checkpoints < 1:
            raise ConfigError("workers.keep-checkpoints", self.keep_checkpoints, "at least 1")


@dataclass
class RaySurroundings:
    """`training.loop.Surroundings` inside a Ray Train worker."""

    rank: int
    world: int
    threads: int
    board: Any

    def total(self, value: float) -> float:
        """Sum over all workers."""
        if self.world == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=ray.train.torch.get_device())
        distributed.all_reduce(tensor)
        return float(tensor)

    def gather(self, value: T) -> list[T]:
        """Every worker's value, in the order of ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def report(self, metrics: Metrics, save: Callable[[Path], None] | None) -> None:
        """A barrier: every worker reports, the first one's metrics and checkpoint count."""
        if save is None or self.rank > 0:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder))
            ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))

    def progress(self, images_seen: int, note: str) -> None:
        """Tell the driver; it is not waited for."""
        if self.rank == 0:
            self.board.update.remote(images_seen, note)


@ray.remote(num_cpus=0)
class Board:
    """Where the first worker writes its progress and the driver reads it."""

    def __init__(self, trained: int) -> None:
        self.state, self.trained = (0, ""), trained

    def update(self, done: int, note: str) -> None:
        """Overwrite the progress; an attempt begins with where it starts."""
        if note:
            self.trained += done - self.state[0]
        self.state = (done, note)

    def read(self) -> tuple[int, str, int]:
        """Images seen, what is said of them, and images trained on by all attempts together."""
        return (*self.state, self.trained)


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
        StateError: the run failed more often than `max_failures`.
    """
    use_gpu = ray.cluster_resources().get("GPU", 0) > 0
    _check_resources(workers, use_gpu)
    if workers.num_workers > run.config.stream.streams:
        raise ConfigError(
            "workers.num-workers", workers.num_workers,
            f"at most stream.streams = {run.config.stream.streams}, the shares of a batch",
        )  # fmt: skip
    board = Board.remote(_trained_before(out))  # type: ignore[attr-defined]
    trainer = ray.train.torch.TorchTrainer(
        _worker,  # type: ignore[arg-type]  # Ray does not type the returned value
        train_loop_config={"run": ray.put(run), "board": board},
        scaling_config=ScalingConfig(
            num_workers=workers.num_workers, use_gpu=use_gpu,
            resources_per_worker={"CPU": workers.cpus, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=RunConfig(
            name=RUN_NAME,
            storage_path=out.path,
            storage_filesystem=None if out.is_local else out.filesystem,
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=workers.keep_checkpoints),
            callbacks=[LogToMlflow(logger)],  # type: ignore[list-item]  # of Train v2
        ),
    )  # fmt: skip
    with _watching(board, meter, out):
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise StateError(f"training failed and was not restarted again: {error}") from error
    assert result.checkpoint is not None
    outcome: Outcome = result.return_value  # type: ignore[attr-defined]  # of Train v2
    wasted = _trained_before(out) - run.config.schedule.images
    return replace(outcome, wasted=max(wasted, 0)), result.checkpoint


def _worker(config: dict[str, Any]) -> Outcome | None:
    context = ray.train.get_context()
    around = RaySurroundings(
        rank=context.get_world_rank(),
        world=context.get_world_size(),
        threads=max(1, (os.cpu_count() or 1) // context.get_local_world_size()),
        board=config["board"],
    )
    run: Run = ray.get(config["run"])
    latest = ray.train.get_checkpoint()
    if latest is None:
        return work(run, around, ray.train.torch.prepare_model, None)
    with latest.as_directory() as folder:
        return work(run, around, ray.train.torch.prepare_model, Path(folder))


def _check_resources(workers: WorkersConfig, use_gpu: bool) -> None:
    """Ray would wait for ever for workers that never fit."""
    have = ray.cluster_resources()
    kind, each = ("GPU", 1.0) if use_gpu else ("CPU", workers.cpus)
    needed = workers.num_workers * each + (0 if use_gpu else 1)
    if needed > have.get(kind, 0):
        raise ConfigError(
            "workers.num-workers", workers.num_workers,
            f"needs {needed:g} {kind}s with decoding, the cluster has {have.get(kind, 0):g}",
        )  # fmt: skip


def _trained_before(out: Folder) -> int:
    """Images that the attempts so far have trained on, as far as they were watched."""
    try:
        return int(out.read_json(PROGRESS)["images_trained"])
    except FileNotFoundError:
        return 0


@contextmanager
def _watching(board: Any, meter: Meter, out: Folder) -> Iterator[None]:
    """Copy the board to the meter and to `out` from a thread while the block runs."""
    done = threading.Event()

    def poll() -> None:
        written, ended = -1, False
        while not ended:
            ended = done.wait(POLL_S)
            images, note, trained = ray.get(board.read.remote())
            meter.update(images, note)
            if trained != written:
                out.write_json(PROGRESS, {"images_trained": trained})
                written = trained

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
