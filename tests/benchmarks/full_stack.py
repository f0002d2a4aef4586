"""Training fed by the stream, beside the same steps fed from a tensor in memory.

Of nano and ResNeXt-50 at 64 and 128 px: the rate of the steps alone, the rate of the stream alone,
that of steps on a stream in one process, and that of a whole job under Ray Train with its curves.
Streams and jobs are timed from their first batch to their end, so that what is loaded ahead counts.
On CPU steps and stream want the same cores, which allow 1 / (1 / steps + 1 / stream) images a
second; on a GPU they run side by side, and the steps are the limit. Shards are those of
`tests.benchmarks.ingest`. Run from the repository root:

    uv run -m tests.benchmarks.full_stack
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hashnext import cluster
from hashnext.config import PretrainConfig
from hashnext.evaluation.hierarchy import LabelNames
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import build
from hashnext.progress import meter
from hashnext.recipes import RECIPES
from hashnext.registry.store import RunLogger
from hashnext.shards.batch import Batch, StreamConfig
from hashnext.shards.stream import TrainingSet, training_batches
from hashnext.storage import Folder
from hashnext.training.optimiser import make_optimiser
from hashnext.training.parallel import ParallelConfig, distribute
from hashnext.training.prefetch import DeviceBatch, on_device
from hashnext.training.ray_trainer import fit
from hashnext.training.step import Stepper
from hashnext.training.worker import Run
from hashnext.training.workers import WorkersConfig
from tests.benchmarks.ingest import training_set, write_posts, write_shards
from tests.benchmarks.table import row

AT_LEAST = 0.95
JOB_AT_LEAST = 0.9
BATCH = 64
SMALL_BATCH = 32
"""Of ResNeXt-50 on CPU, where a step takes seconds; a batch has at least one image a stream."""
LABELS = 1000
SECONDS = 10.0
"""How long each turn aims to take."""
JOB_SECONDS = 90.0
TURNS = 3
WINDOWS = 10
"""Points of a job's curves."""
WARM = 4
"""Steps between two looks at the clock, and before the first."""
LONG = 1024
"""Batches of a stream that is not read to its end."""
CASES = (("nano", 64), ("nano", 128), ("resnext50_32x4d", 64), ("resnext50_32x4d", 128))


def config_of(recipe: str, device: torch.device) -> PretrainConfig:
    """A recipe with the batch that is measured."""
    batch = BATCH if recipe == "nano" or device.type == "cuda" else SMALL_BATCH
    return replace(RECIPES[recipe](), batch=batch, bf16=device.type == "cuda")


def stepper_of(recipe: str, size: int, device: torch.device) -> Stepper:
    """A fresh network of a recipe and its optimiser."""
    config = config_of(recipe, device)
    network = build(config.model, LABELS)
    model = distribute(network, ParallelConfig(), 1, device)
    optimiser = make_optimiser(network, config.optimiser)
    return Stepper(model, optimiser, Preprocess(size=size), device, config)


@dataclass(frozen=True)
class Limit:
    """What the machine allows: machines drift, so steps alone take turns with what is measured."""

    stepper: Stepper
    batch: DeviceBatch
    stream: float
    """Images a second of the stream alone."""

    @classmethod
    def of(cls, stepper: Stepper, data: TrainingSet) -> "Limit":
        """Measure the stream, and keep a batch for the steps."""
        batch = stepper.config.batch
        feed = on_device(batches_of(data, batch, LONG * batch), stepper.device)
        return cls(stepper, next(feed), stream_alone(data, batch))

    def steps(self) -> float:
        """Images a second of steps on one batch that lies on the device."""
        turn = [self.batch] * WARM
        train(self.stepper, iter(turn))
        started, images = time.perf_counter(), 0
        while (passed := time.perf_counter() - started) < SECONDS:
            images += train(self.stepper, iter(turn))[0]
        return images / passed

    def allowed(self, steps: float) -> float:
        """Images a second that the machine allows where steps alone have this rate."""
        if self.stepper.device.type == "cuda":
            return steps
        return 1 / (1 / steps + 1 / self.stream)

    def images(self, steps: float, seconds: float) -> int:
        """Images of a run that takes so long."""
        batch = self.stepper.config.batch
        return max(2 * WINDOWS, int(self.allowed(steps) * seconds / batch)) * batch

    def share(self, rate: float, before: float, after: float) -> float:
        """A rate, as a share of what the steps before and after it allow beside the stream."""
        return rate / self.allowed((before + after) / 2)


def stream_alone(data: TrainingSet, batch: int) -> float:
    """Images a second of the stream, after its first batches."""
    started, images = 0.0, 0
    for number, found in enumerate(batches_of(data, batch, LONG * batch)):
        if number == 16:  # what was waiting while the first batches came is behind us
            started = time.perf_counter()
        elif number > 16:
            images += len(found)
            if time.perf_counter() - started > SECONDS:
                break
    return images / (time.perf_counter() - started)


def train(stepper: Stepper, batches: Iterator[DeviceBatch]) -> tuple[int, float, float]:
    """Train on all batches: images, seconds from the first batch on, seconds of waiting in them."""
    images, waited, waiting = 0, 0.0, 0.0
    batch = next(batches)
    started = ended = time.perf_counter()
    while batch is not None:
        waited += waiting
        stepper.step(batch, len(batch), 0.01, images)  # waits for the loss, so for the device
        images += len(batch)
        ended = time.perf_counter()
        batch = next(batches, None)
        waiting = time.perf_counter() - ended
    return images, ended - started, waited


def job(config: PretrainConfig, data: TrainingSet, images: int, out: Folder) -> float:
    """Images a second of a run under Ray Train, from its first batch to its end."""
    windows = replace(config, log_images=images // WINDOWS, checkpoint_images=images)
    run = Run(
        config=replace(windows, stream=data.config).shortened(images), training=data,
        held_out=replace(data, index=data.index.subset(np.zeros(len(data.index), bool))),
        num_labels=LABELS, label_posts=[0] * LABELS,
        label_names=LabelNames([None] * LABELS, np.zeros(LABELS)),
    )  # fmt: skip
    logger = RunLogger()
    logger.open("full-stack", "job", {}, {})
    with meter("job", images, "images") as progress:
        fit(run, out, WorkersConfig(), logger, progress)
    seen, rates = zip(*logger.curve("images_per_s"), strict=True)
    seconds = np.diff(seen, prepend=0) / rates
    first_batch = seconds[0] * logger.curve("data_wait")[0][1]
    return float(images / (seconds.sum() - first_batch))


def batches_of(data: TrainingSet, batch: int, images: int) -> Iterator[Batch]:
    """The stream of a run."""
    yield from training_batches(data, batch=batch, images=images, start=0, rank=0, world=1)


def measure(recipe: str, data: TrainingSet, device: torch.device, out: Folder) -> None:
    """Compare for one network and size, and print."""
    limit = Limit.of(stepper_of(recipe, data.config.size, device), data)
    steps, fed, waits, shares = [limit.steps()], [], [], []
    for _ in range(TURNS):
        images = limit.images(steps[-1], 2 * SECONDS)
        feed = on_device(batches_of(data, limit.stepper.config.batch, images), device)
        trained, seconds, waited = train(limit.stepper, feed)
        steps.append(limit.steps())
        fed.append(trained / seconds)
        waits.append(waited / seconds)
        shares.append(limit.share(fed[-1], *steps[-2:]))
    images = limit.images(steps[-1], JOB_SECONDS)
    whole = job(config_of(recipe, device), data, images, out)
    of_job = limit.share(whole, steps[-1], limit.steps())
    title = f"{recipe}, {data.config.size} px"
    print(
        f"{title}, images/s: steps {statistics.median(steps):,.1f}, stream {limit.stream:,.1f}, "
        f"together {statistics.median(fed):,.1f}, job {whole:,.1f}", flush=True,
    )  # fmt: skip
    both = statistics.median(shares)
    row(f"{title}: together", f"{both:.2f}x", f"at least {AT_LEAST:g}x", both >= AT_LEAST)
    row(f"{title}: job", f"{of_job:.2f}x", f"at least {JOB_AT_LEAST:g}x", of_job >= JOB_AT_LEAST)
    row("  waiting for the stream", f"{statistics.median(waits):.0%}")


def main() -> None:
    """Prepare, measure every case, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posts", type=int, default=10_800)
    parser.add_argument("--recipes", nargs="*", default=["nano", "resnext50_32x4d"])
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, {device}")
    with tempfile.TemporaryDirectory() as folder, cluster.session():
        at = Path(folder)
        os.environ["HASHNEXT_HOME"] = str(at / "home")
        write_posts(at / "posts.parquet", args.posts)
        shards = write_shards(at / "posts.parquet", at / "shards")
        for recipe, size in CASES:
            if recipe in args.recipes:
                data = training_set(shards, StreamConfig(size=size))
                measure(recipe, data, device, Folder.at(at / f"{recipe}-{size}"))


if __name__ == "__main__":
    main()
