"""Replicas, shards and recomputed blocks compute what one plain network computes."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_model import CPU, make_batch, part
from small_model import Small
from torch import distributed, multiprocessing

from hashnext.errors import ConfigError
from hashnext.models.preprocess import Preprocess
from hashnext.recipes import nano
from hashnext.shards.ledger import Ledger
from hashnext.training import checkpoint
from hashnext.training.checkpoint import TrainingState
from hashnext.training.optimiser import OptimiserConfig, WeightAverage, make_optimiser
from hashnext.training.parallel import (
    ParallelConfig,
    average_over_workers,
    distribute,
    recompute_blocks,
    whole_state,
)
from hashnext.training.prefetch import DeviceBatch, upload
from hashnext.training.step import Stepper
from hashnext.training.worker import Trainee

SIZE, IMAGES, STEPS = 8, 16, 2
CONFIG = replace(
    nano(), bf16=False, optimiser=OptimiserConfig(clip_norm=1.0, average_images=16, accumulate=2)
)
LAYOUTS = {
    "replicate": ParallelConfig(), "shard": ParallelConfig(layout="shard"),
    "shard-recompute": ParallelConfig(layout="shard", recompute=True),
}  # fmt: skip


def trainer(parallel: ParallelConfig, world: int) -> tuple[torch.nn.Module, Stepper]:
    network = Small()
    model = distribute(network, parallel, world, CPU)
    return network, Stepper(
        model, make_optimiser(network, CONFIG.optimiser), Preprocess(size=SIZE), CPU, CONFIG, world,
        None, WeightAverage(network, 16),
    )  # fmt: skip


def share(number: int, rank: int, world: int) -> DeviceBatch:
    """What a worker gets of a batch."""
    batch = make_batch(IMAGES, seed=number, size=SIZE)
    return upload(part(batch, np.arange(IMAGES) % world == rank), CPU)


def train(stepper: Stepper, rank: int, world: int) -> list[float]:
    """Norms of the gradients of some steps over a worker's share."""
    norms = []
    for number in range(STEPS):
        mine = share(number, rank, world)
        norms.append(stepper.step(mine, IMAGES, 1e-3, number * IMAGES).gradient_norm)
    return norms


def test_recomputed_blocks_give_the_same_weights_and_statistics() -> None:
    (plain, one), (thrifty, two) = (
        trainer(ParallelConfig(recompute=recompute), 1) for recompute in (False, True)
    )
    assert train(one, 0, 1) == pytest.approx(train(two, 0, 1), rel=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(thrifty.state_dict()[name], value, msg=name)


def test_recomputed_blocks_can_be_compiled() -> None:
    """Gradients and statistics are those of the plain network, which meets each batch once."""
    torch.manual_seed(1)
    images = torch.randn(2, 4, 3, SIZE, SIZE)
    plain, eager, compiled = Small(), Small(), Small()
    for network in (eager, compiled):
        recompute_blocks(network)
    compiled.compile(backend="aot_eager_decomp_partition", fullgraph=True)
    for network in (plain, eager, compiled):
        for batch in images:
            network(batch).logsumexp(1).sum().backward()
    for network in (eager, compiled):
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], value, msg=name)
        for name, parameter in plain.named_parameters():
            torch.testing.assert_close(network.get_parameter(name).grad, parameter.grad, msg=name)


@pytest.mark.parametrize(
    ("mode", "records"), [("default", False), ("reduce-overhead", True), ("max-autotune", True)]
)
def test_a_network_is_compiled_in_the_mode_that_is_asked_for(mode: Any, records: bool) -> None:
    model = distribute(Small(), ParallelConfig(compile="on", compile_mode=mode), 1, CPU)
    options = model._compiled_call_impl.get_compiler_config()  # what torch.compile made of it
    assert bool(options and options["triton.cudagraphs"]) == records


def test_unknown_choices_name_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"parallel\.compile-mode = .?fast.?: must be default"):
        ParallelConfig(compile_mode="fast")
    with pytest.raises(ConfigError, match=r"parallel\.layout = "):
        ParallelConfig(layout="both")


def worker(rank: int, folder: str) -> None:
    """Trains replicas, shards and shards of blocks that recompute; goes on from saved states."""
    torch.set_num_threads(1)  # the other worker has the other core
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    continued = {}
    for name, parallel in LAYOUTS.items():
        network, stepper = trainer(parallel, 2)
        assert stepper.optimiser.defaults["foreach"] == (parallel.layout == "shard")
        norms, trainee = train(stepper, rank, 2), Trainee(network, stepper)
        own = {key: value.clone() for key, value in network.named_buffers()}
        evaluated = trainee.evaluated()
        write = trainee.snapshot(TrainingState(0, Ledger.empty(4)))
        if rank == 0:
            Path(f"{folder}/{name}").mkdir()
            write(Path(f"{folder}/{name}"))
        torch.save((norms, own, evaluated), f"{folder}/{name}-{rank}.pt")
        distributed.barrier()
        saved = checkpoint.load(Path(f"{folder}/{name}"))
        again = Trainee(*trainer(parallel, 2))
        again.continue_from(saved)
        _, momentum = whole_state(again.network, again.stepper.optimiser)
        if rank == 0:  # only the first worker is told, where there are shards
            torch.testing.assert_close(momentum["state"], saved.optimiser["state"], rtol=0, atol=0)
            assert all(value["momentum_buffer"].any() for value in momentum["state"].values())
        expected = train(stepper, rank, 2)
        assert train(again.stepper, rank, 2) == pytest.approx(expected, rel=1e-5)
        assert stepper.losses_alone(share(0, rank, 2)).isfinite().sum() == IMAGES / 2
        continued[name] = expected
    for before, after in (("replicate", "shard"), ("shard", "replicate")):
        norms = go_on_as(LAYOUTS[after], Path(f"{folder}/{before}"), rank)
        assert norms == pytest.approx(continued[before], rel=1e-3)
    alone, mean = (statistics_after(ParallelConfig(), rank, 1) for _ in range(2))
    average_over_workers(list(mean.values()))
    for parallel in LAYOUTS.values():
        found = statistics_after(parallel, rank, 2)
        torch.testing.assert_close(found, alone)
        average_over_workers(list(found.values()))
        torch.testing.assert_close(found, mean)
    for layout in ("replicate", "shard"):
        (made, ran), *later = graphs_of_steps(LAYOUTS[layout], rank)
        assert made > 0
        assert later == [(made, 2 * ran), (made, 3 * ran)], "all steps run what the first compiled"
    distributed.destroy_process_group()


def statistics_after(parallel: ParallelConfig, rank: int, world: int) -> dict[str, Any]:
    """Batch norms' statistics after some steps in which the weights stay."""
    network, stepper = trainer(parallel, world)
    for number in range(STEPS):
        stepper.step(share(number, rank, 2), IMAGES, 0.0, number * IMAGES)
    return {name: value for name, value in network.named_buffers() if value.is_floating_point()}


def graphs_of_steps(parallel: ParallelConfig, rank: int) -> list[tuple[int, int]]:
    """Graphs compiled, and runs of them, by the end of each of some steps of whole batches."""
    count: Counter[str] = Counter()

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        count["made"] += 1

        def run(*inputs: torch.Tensor) -> Any:
            count["ran"] += 1
            return graph(*inputs)

        return run

    _, stepper = trainer(parallel, 2)
    stepper.config = replace(CONFIG, batch=IMAGES, stream=replace(CONFIG.stream, streams=IMAGES))
    stepper.model.compile(backend=backend)
    found = []
    for number in range(3):
        stepper.step(share(number, rank, 2), IMAGES, 1e-3, number * IMAGES)
        found.append((count["made"], count["ran"]))
    assert stepper.settled
    return found


def go_on_as(parallel: ParallelConfig, left: Path, rank: int) -> list[float]:
    """Some steps from what another layout left: the same state, and updates in the layout's way."""
    moved = Trainee(*trainer(parallel, 2))
    moved.continue_from(checkpoint.load(left))
    saved = checkpoint.load(left)  # shards take the place of what is loaded
    weights, momentum = whole_state(moved.network, moved.stepper.optimiser)
    if rank == 0:
        torch.testing.assert_close(weights, saved.model, rtol=0, atol=0)
        torch.testing.assert_close(momentum["state"], saved.optimiser["state"], rtol=0, atol=0)
    for group in moved.stepper.optimiser.param_groups:
        assert group["foreach"] == (not group["fused"]) == (parallel.layout == "shard")
    return train(moved.stepper, rank, 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two workers, each with its own share of the images, leave of each layout."""
    folder = tmp_path_factory.mktemp("workers")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    multiprocessing.spawn(worker, (str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("layout", ["shard", "shard-recompute"])
def test_shards_compute_what_replicas_do(trained: Path, layout: str) -> None:
    replicas, shards = left(trained, "replicate", 0), left(trained, layout, 0)
    assert shards[0] == pytest.approx(replicas[0], rel=1e-3)
    pair = [checkpoint.load(trained / name) for name in ("replicate", layout)]
    for ours, theirs in ((pair[0].model, pair[1].model), (pair[0].average, pair[1].average)):
        assert ours is not None
        assert theirs is not None
        for name in dict(Small().named_parameters()):
            torch.testing.assert_close(theirs[name], ours[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_workers_evaluate_the_network_that_is_kept(trained: Path, layout: str) -> None:
    """Also its batch-norm statistics, which no two workers had alike."""
    (_, own, first), (_, others, second) = (left(trained, layout, rank) for rank in (0, 1))
    kept = checkpoint.load(trained / layout)
    assert not torch.equal(own["bn1.running_mean"], others["bn1.running_mean"])
    both = (own["bn1.running_mean"] + others["bn1.running_mean"]) / 2
    torch.testing.assert_close(kept.model["bn1.running_mean"], both)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert torch.equal(value, kept.evaluated[name]), name


def left(folder: Path, layout: str, rank: int) -> Any:
    return torch.load(folder / f"{layout}-{rank}.pt")
