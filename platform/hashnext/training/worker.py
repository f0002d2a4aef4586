"""What one training worker does, from start to end, wherever it runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hashnext.config import PretrainConfig
from hashnext.evaluation.held_out import HeldOutReport, collected, predict, report
from hashnext.evaluation.hierarchy import LabelNames
from hashnext.evaluation.predictions import sample
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import build
from hashnext.shards.ledger import Ledger
from hashnext.shards.stream import TrainingSet, evaluation_batches, training_batches
from hashnext.training import checkpoint
from hashnext.training.checkpoint import Checkpoint, TrainingState
from hashnext.training.device_memory import device_memory
from hashnext.training.loop import Loop, Surroundings, Write
from hashnext.training.memory import GIB, require_memory
from hashnext.training.optimiser import WeightAverage, make_optimiser
from hashnext.training.parallel import (
    ParallelConfig,
    average_over_workers,
    distribute,
    restore,
    whole_state,
    whole_tensors,
)
from hashnext.training.prefetch import DeviceBatch, on_device
from hashnext.training.step import Stepper
from hashnext.training.watch import training_flops


@dataclass(frozen=True, kw_only=True)
class Run:
    """A pretraining run: what to compute, on what. Picklable, the same for every worker."""

    config: PretrainConfig
    training: TrainingSet
    held_out: TrainingSet
    num_labels: int
    label_posts: list[int]
    """Training posts of each label, for the baseline that always predicts the commonest."""
    label_names: LabelNames
    """What names each label, for the levels of WordNet down to which predictions are right."""
    label_weights: NDArray[np.float32] | None = None
    """How a post's labels share its target, float32 (V,); None shares it evenly."""
    initial: dict[str, Tensor] | None = None
    """Weights to start from, by parameter name; the rest is drawn at random."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How the network lies on the devices; does not change what is computed."""

    @property
    def preprocess(self) -> Preprocess:
        """How the network wants its images."""
        return Preprocess(size=self.config.stream.size)


@dataclass(frozen=True)
class Outcome:
    """What a finished run tells; the weights are in its last checkpoint."""

    held_out: HeldOutReport | None
    """None where no held-out post carries a label, and on any worker but the first."""
    ledger: str
    """Digest of the sample ledger."""
    samples: int
    """Samples consumed; fewer than the run's images where shards could not be read."""
    skipped: dict[int, str]
    """Row groups with samples that could not be read, and the error."""
    missing: dict[str, int]
    """Posts of these samples: key in hexadecimal, and row group."""
    wasted: int = 0
    """Images trained on again because the work since the last checkpoint was lost, as far as the
    driver saw."""


@dataclass(frozen=True)
class Stopped:
    """A run that was told to stop and has kept a checkpoint."""

    images_seen: int


def work(run: Run, around: Surroundings, saved: Checkpoint | None) -> Outcome | Stopped:
    """Train from the latest checkpoint, or from the start, to the end; then evaluate.

    Args:
        run: what to compute.
        around: this worker's surroundings.
        saved: the checkpoint to continue from; None starts anew.

    Raises:
        ConfigError: the run does not fit into the device's memory.
    """
    config = run.config
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":  # Ray sets one thread per logical CPU asked for
        torch.set_num_threads(around.threads)
    again = saved is not None
    available = min(around.gather(device_memory(device, around.neighbours, again)))
    needed = require_memory(config, run.parallel, run.num_labels, around.world, available)
    if around.rank == 0:
        around.say(f"memory of each worker's device: {needed} of {available / GIB:.2f} GiB")
    trainee = make_trainee(run, around, device)
    state = TrainingState(0, Ledger.empty(config.stream.streams))
    if saved is not None:
        state = trainee.continue_from(saved)
    loaded = training_batches(
        run.training, batch=config.batch, images=config.schedule.images,
        start=state.images_seen, rank=around.rank, world=around.world,
    )  # fmt: skip
    batches = on_device(loaded, device)
    flops = training_flops(config.model, run.num_labels, config.stream.size)
    loop = Loop(
        config=config, stepper=trainee.stepper, around=around, snapshot=trainee.snapshot,
        flops=flops,
    )  # fmt: skip
    with around.watched():
        if not loop.run(batches, state):
            return Stopped(state.images_seen)
    assert next(batches, None) is None  # the end of the stream gives its actors' CPUs back
    held_out = _held_out(run, trainee, around)
    if isinstance(held_out, Stopped):
        return held_out
    return Outcome(
        held_out, state.ledger.digest, state.ledger.samples, state.skipped,
        state.missing,
    )  # fmt: skip


@dataclass(frozen=True)
class Trainee:
    """A network that is being trained, however it lies on the devices."""

    network: nn.Module
    stepper: Stepper

    def continue_from(self, saved: Checkpoint) -> TrainingState:
        """Take over weights, momentum and average; every worker has to."""
        restore(self.network, self.stepper.optimiser, saved.model, saved.optimiser)
        if self.stepper.average and saved.average:
            self.stepper.average.restore(saved.average)
        return saved.state

    def snapshot(self, state: TrainingState) -> Write:
        """Collect what a checkpoint holds; every worker has to. The first one then writes it."""
        self._share_statistics()
        model, optimiser = whole_state(self.network, self.stepper.optimiser)
        average = self.stepper.average
        kept = Checkpoint(
            model=model, optimiser=optimiser, state=state,
            average=whole_tensors(average.state) if average else None,
        )  # fmt: skip
        return lambda folder: checkpoint.save(folder, kept)

    def evaluated(self) -> dict[str, Tensor]:
        """Whole weights to evaluate, the same on every worker; every one has to ask."""
        self._share_statistics()
        average = self.stepper.average
        return whole_tensors(average.state if average else self.network.state_dict())

    def _share_statistics(self) -> None:
        """Batch norms of each worker saw its share only: go on with the mean of their statistics.

        Training does not use them; evaluation, package and all workers then agree on one network.
        """
        if self.stepper.world == 1:
            return
        floats = {k: b for k, b in self.network.named_buffers() if b.is_floating_point()}
        average = self.stepper.average
        averaged = [average.state[name] for name in floats] if average else []
        average_over_workers([*floats.values(), *averaged])


def make_trainee(run: Run, around: Surroundings, device: torch.device) -> Trainee:
    """The network at the start of a run, on a device, and what trains it."""
    config, shares = run.config, run.label_weights
    torch.manual_seed(config.seed)
    network = build(config.model, run.num_labels)
    network.load_state_dict(run.initial or {}, strict=False)
    model = distribute(network, run.parallel, around.world, device)
    half_life = config.optimiser.average_images
    return Trainee(network, Stepper(
        model, make_optimiser(network, config.optimiser), run.preprocess, device, config,
        around.world, None if shares is None else torch.from_numpy(shares).to(device),
        WeightAverage(network, half_life) if half_life else None,
    ))  # fmt: skip


def _held_out(run: Run, trainee: Trainee, around: Surroundings) -> HeldOutReport | Stopped | None:
    """The report, on the first worker; or that the run was told to end before there was one."""
    device, config = trainee.stepper.device, run.config.calibration
    chosen = sample(run.held_out.index.keys, config.posts)
    measured = replace(
        run.held_out, index=run.held_out.index.subset(chosen), factors=run.held_out.factors[chosen]
    )
    network = build(run.config.model, run.num_labels).to(device, memory_format=torch.channels_last)
    network.load_state_dict(trainee.evaluated())
    batches = evaluation_batches(
        measured, batch=max(64, run.config.batch // around.world), rank=around.rank,
        world=around.world,
    )  # fmt: skip
    alone = replace(trainee.stepper, model=network.eval(), world=1)

    def told() -> Iterator[DeviceBatch]:
        for batch in on_device(batches, device):
            around.progress(run.config.schedule.images, "predicting held-out hashtags")
            if around.stopping():
                return
            yield batch

    with around.watched():
        predictions = predict(alone, told(), run.num_labels)
    if any(around.gather(around.stopping())):  # the last checkpoint is that of the end
        return Stopped(run.config.schedule.images)
    parts = collected(predictions, around)
    return report(parts, run.label_posts, run.label_names, config)
