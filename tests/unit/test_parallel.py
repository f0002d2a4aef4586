"""Replicas, shards and recomputed blocks compute what one plain network computes."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_model import CPU, LABELS, make_batch, part
from torch import distributed, multiprocessing

from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import build
from hashnext.recipes import nano
from hashnext.training.optimiser import OptimiserConfig, WeightAverage, make_optimiser
from hashnext.training.parallel import (
    ParallelConfig,
    distribute,
    restore,
    whole_state,
    whole_tensors,
)
from hashnext.training.prefetch import upload
from hashnext.training.step import Stepper

SIZE, IMAGES, STEPS = 32, 16, 2
CONFIG = replace(
    nano(), bf16=False, optimiser=OptimiserConfig(clip_norm=1.0, average_images=16, accumulate=2)
)


def trainer(parallel: ParallelConfig, world: int) -> tuple[torch.nn.Module, Stepper]:
    torch.manual_seed(0)
    network = build(CONFIG.model, LABELS)
    model = distribute(network, parallel, world, CPU)
    return network, Stepper(
        model, make_optimiser(network, CONFIG.optimiser), Preprocess(size=SIZE), CPU, CONFIG, world,
        None, WeightAverage(network, 16),
    )  # fmt: skip


def train(stepper: Stepper, rank: int, world: int) -> list[float]:
    """Norms of the gradients of some steps over a worker's share."""
    norms = []
    for number in range(STEPS):
        batch = make_batch(IMAGES, seed=number, size=SIZE)
        mine = upload(part(batch, np.arange(IMAGES) % world == rank), CPU)
        norms.append(stepper.step(mine, IMAGES, 1e-3, number * IMAGES).gradient_norm)
    return norms


def test_recomputed_blocks_give_the_same_weights_and_statistics() -> None:
    (plain, one), (thrifty, two) = (
        trainer(ParallelConfig(recompute=recompute), 1) for recompute in (False, True)
    )
    assert train(one, 0, 1) == pytest.approx(train(two, 0, 1), rel=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(thrifty.state_dict()[name], value, msg=name)


def worker(rank: int, folder: str) -> None:
    """Trains replicas and shards, and goes on from their saved states."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    for layout in ("replicate", "shard"):
        network, stepper = trainer(ParallelConfig(layout=layout), 2)  # type: ignore[arg-type]
        norms = train(stepper, rank, 2)
        assert stepper.average is not None
        average = whole_tensors(stepper.average.state)
        model, optimiser = whole_state(network, stepper.optimiser)
        if rank == 0:
            torch.save((norms, model, optimiser, average), f"{folder}/{layout}.pt")
        distributed.barrier()
        _, model, optimiser, average = torch.load(f"{folder}/{layout}.pt")
        again, continued = trainer(ParallelConfig(layout=layout), 2)  # type: ignore[arg-type]
        restore(again, continued.optimiser, model, optimiser)
        continued.average.restore(average)  # type: ignore[union-attr]
        assert train(continued, rank, 2) == pytest.approx(train(stepper, rank, 2), rel=1e-5)
    distributed.destroy_process_group()


def test_shards_compute_what_replicas_do(tmp_path: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    replicas, shards = (load(tmp_path, layout) for layout in ("replicate", "shard"))
    assert shards[0] == pytest.approx(replicas[0], rel=1e-3)
    for whole in (1, 3):  # weights, and their average
        for name, value in replicas[whole].items():
            torch.testing.assert_close(shards[whole][name], value, rtol=1e-3, atol=1e-5, msg=name)


def load(folder: Path, layout: str) -> Any:
    return torch.load(folder / f"{layout}.pt")
