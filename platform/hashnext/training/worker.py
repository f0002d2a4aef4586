"""What one training worker does, from start to end, wherever it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hashnext.config import PretrainConfig
from hashnext.evaluation.held_out import HeldOutReport, predict, report
from hashnext.evaluation.hierarchy import LabelNames
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import build
from hashnext.shards.ledger import Ledger
from hashnext.shards.stream import TrainingSet, evaluation_batches, training_batches
from hashnext.training import checkpoint
from hashnext.training.checkpoint import TrainingState
from hashnext.training.loop import Surroundings, train
from hashnext.training.prefetch import on_device
from hashnext.training.step import Stepper, make_optimiser


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

    @property
    def preprocess(self) -> Preprocess:
        """How the network wants its images."""
        return Preprocess(size=self.config.stream.size)


@dataclass(frozen=True)
class Outcome:
    """What a finished run tells; the weights are in its last checkpoint."""

    held_out: HeldOutReport | None
    """None where no held-out post carries a label."""
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


def work(
    run: Run,
    around: Surroundings,
    wrap: Callable[[nn.Module], nn.Module],
    latest: Path | None,
) -> Outcome:
    """Train from the latest checkpoint, or from the start, to the end; then evaluate.

    Args:
        run: what to compute.
        around: this worker's surroundings.
        wrap: makes the network ready for its device and the other workers (DDP).
        latest: folder of the checkpoint to continue from.
    """
    config = run.config
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":  # Ray sets one thread per logical CPU asked for
        torch.set_num_threads(around.threads)
    torch.manual_seed(config.seed)
    network = build(config.model, run.num_labels).to(device, memory_format=torch.channels_last)
    optimiser = make_optimiser(network, config.optimiser)
    state = TrainingState(0, Ledger.empty(config.stream.streams))
    if latest is not None:
        weights, momentum, state = checkpoint.load(latest)
        network.load_state_dict(weights)
        optimiser.load_state_dict(momentum)
    shares = run.label_weights
    stepper = Stepper(
        wrap(network), optimiser, run.preprocess, device, config.bf16, around.world,
        None if shares is None else torch.from_numpy(shares).to(device), config.augment,
        config.seed,
    )  # fmt: skip
    loaded = training_batches(
        run.training, batch=config.batch, images=config.schedule.images,
        start=state.images_seen, rank=around.rank, world=around.world,
    )  # fmt: skip
    batches = on_device(loaded, device)

    def save(folder: Path, state: TrainingState) -> None:
        checkpoint.save(folder, network.state_dict(), optimiser.state_dict(), state)

    train(config, stepper, batches, state, save, around)
    assert next(batches, None) is None  # the end of the stream gives its actors' CPUs back
    return Outcome(
        _held_out(run, network, stepper, around), state.ledger.digest, state.ledger.samples,
        state.skipped, state.missing,
    )  # fmt: skip


def _held_out(
    run: Run, network: nn.Module, stepper: Stepper, around: Surroundings
) -> HeldOutReport | None:
    network.eval()
    batches = evaluation_batches(
        run.held_out, batch=max(64, run.config.batch // around.world), rank=around.rank,
        world=around.world,
    )  # fmt: skip
    alone = Stepper(network, stepper.optimiser, run.preprocess, stepper.device, stepper.bf16, 1)
    predictions = predict(alone, on_device(batches, alone.device), run.num_labels)
    parts = around.gather(predictions)
    return report(parts, run.label_posts, run.label_names, run.config.calibration)
