"""The stream of batches that training reads, through Ray Data.

Every worker works out from the same order which samples of each global batch are its own, and has
its own pool of actors load them; nothing is coordinated. One item of the dataset is one batch, so
nothing is re-batched, dropped or padded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext

from hashnext import settings
from hashnext.background import give_way
from hashnext.images.decode import DecodeLimits
from hashnext.shards.batch import Batch, StreamConfig
from hashnext.shards.draws import uniforms
from hashnext.shards.index import LabelIndex
from hashnext.shards.loader import Crops, ShardReader, load
from hashnext.shards.manifest import Manifest
from hashnext.shards.missing import key_name
from hashnext.shards.order import Order, Samples
from hashnext.shards.placement import Placement, place_decoders
from hashnext.storage import Folder

FLIP_DRAW = 6  # what a draw is for, beside those of shards.order and shards.loader
FEW = 4
"""Row groups kept in memory where they are read one after the other."""
IN_FLIGHT = 4
"""Batches waiting at each actor; with fewer it idles between two batches."""
BATCHES_OF_A_DATASET = 8192
"""Making an item of a dataset takes its driver 0.8 ms, and Ray keeps each of them, so a long run
reads several datasets, one after the other."""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What a stream runs over; picklable, shared by all workers."""

    shards: Folder
    manifest: Manifest
    index: LabelIndex
    """Training posts only."""
    factors: NDArray[np.float64]
    """r(I), float64 (posts,)."""
    seed: int
    config: StreamConfig

    def order(self) -> Order:
        """The total order of the run."""
        return Order(
            keys=self.index.keys,
            row_groups=self.index.row_groups,
            factors=self.factors,
            seed=self.seed,
            streams=self.config.streams,
            lanes=self.config.lanes,
        )


def training_batches(
    data: TrainingSet, *, batch: int, images: int, start: int, rank: int, world: int
) -> Iterator[Batch]:
    """A worker's share of every global batch of a run.

    Args:
        data: what to train on.
        batch: samples in a global batch.
        images: samples in the whole run; the last batch may be short.
        start: samples already consumed, a multiple of `batch`.
        rank, world: which worker this is, of how many.
    """
    crops = Crops(data.config.size, data.seed, data.config.min_crop_area)
    starts = range(start, images, batch)
    placement = _placement(data.config, world)
    share = (batch, images, rank, world)
    loader = (OrderedLoader, (ray.put(data), *share, crops, placement.beside_steps))
    count = 0
    for loaded in _run(loader, starts, placement):
        yield _assemble(loaded, data.index, data.seed)
        count += 1
    if count < len(starts):  # a short last batch held none of this worker's streams
        yield _empty(data)


def evaluation_batches(data: TrainingSet, *, batch: int, rank: int, world: int) -> Iterator[Batch]:
    """A worker's share of the posts of `data.index`, once each, centre crops, in their order."""
    crops = Crops(data.config.size, None)
    starts = range(rank * batch, len(data.index), world * batch)
    loader = (SequentialLoader, (ray.put(data), batch, crops))
    for loaded in _run(loader, starts, _placement(data.config, world)):
        yield _assemble(loaded, data.index, None)


class SequentialLoader:
    """Ray Data actor: posts start..start + batch of the index."""

    def __init__(self, data: Any, batch: int, crops: Crops, world: int | None = None) -> None:
        self.data: TrainingSet = ray.get(data)
        cached = self.data.config.cached_row_groups(world) if world else FEW
        self.reader = ShardReader.of(self.data.shards, self.data.manifest, cached)
        self.batch, self.crops = batch, crops

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Load the batch that starts at `item["start"]`."""
        samples = self.samples(int(item["start"][0]))
        return load(self.reader, self.data.index, samples, self.crops, DecodeLimits())

    def samples(self, start: int) -> Samples:
        """The samples to load."""
        posts = np.arange(start, min(start + self.batch, len(self.data.index)))
        zeros = np.zeros_like(posts)
        return Samples(posts, zeros, zeros, zeros)


class OrderedLoader(SequentialLoader):
    """Ray Data actor: a worker's share of samples start..start + batch of the run's order."""

    def __init__(
        self, data: Any, batch: int, images: int, rank: int, world: int, crops: Crops,
        beside_steps: bool,
    ) -> None:  # fmt: skip
        super().__init__(data, batch, crops, world)
        if beside_steps:
            give_way()
        self.order = self.data.order()
        self.images, self.rank, self.world = images, rank, world

    def samples(self, start: int) -> Samples:
        """The samples to load: those whose stream is this worker's."""
        stop = min(start + self.batch, self.images)
        return self.order.share(start, stop, self.rank, self.world)


def _run(
    loader: tuple[type, tuple[Any, ...]], starts: range, placement: Placement
) -> Iterator[dict[str, Any]]:
    for first in range(0, len(starts), BATCHES_OF_A_DATASET):
        part = starts[first : first + BATCHES_OF_A_DATASET]
        dataset = _dataset(loader, part, placement)
        yield from dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=4)


def _dataset(
    loader: tuple[type, tuple[Any, ...]], starts: range, placement: Placement
) -> ray.data.Dataset:
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1 << 30  # a batch must not be cut
    context.enable_progress_bars = False
    with DataContext.current(context):
        # from_arrow would start a task for every item
        items: ray.data.Dataset = ray.data.from_blocks(
            [pa.table({"start": [start]}) for start in starts]
        )
        return items.map_batches(
            loader[0],
            fn_constructor_args=loader[1],
            batch_size=1,
            compute=ActorPoolStrategy(
                size=min(placement.decoders, len(starts)), max_tasks_in_flight_per_actor=IN_FLIGHT
            ),
            **placement.options,
        )


def _placement(config: StreamConfig, world: int) -> Placement:
    here, context = settings.cores(), ray.get_runtime_context()
    in_a_worker = context.worker.mode == ray.WORKER_MODE
    held = context.get_assigned_resources().get("CPU", 0) if in_a_worker else 1
    return place_decoders(
        ray.nodes(), world=world, wanted=config.decoders, cores_here=here, worker_cpus=held,
        idle=ray.available_resources().get("CPU", 0),
    )  # fmt: skip


def _empty(data: TrainingSet) -> Batch:
    nothing = np.empty(0, dtype=np.int64)
    samples = Samples(nothing, nothing, nothing, nothing)
    images = np.empty((0, data.config.size, data.config.size, 3), dtype=np.uint8)
    keys, offsets = data.index.keys[:0], np.zeros(1, dtype=np.int64)
    flips = nothing.astype(np.bool_)
    return Batch(images, offsets, data.index.labels[:0], flips, keys, samples, {}, {})


def _assemble(loaded: dict[str, Any], index: LabelIndex, seed: int | None) -> Batch:
    sound = loaded["error"] == ""
    samples = Samples(loaded["post"], loaded["epoch"], loaded["repeat"], loaded["stream"])
    lost = samples.posts[~sound]
    groups = index.row_groups[lost].tolist()
    skipped = dict(zip(groups, loaded["error"][~sound].tolist(), strict=True))
    missing = dict(zip(map(key_name, index.keys[lost]), groups, strict=True))
    images = loaded["image"]
    if skipped:
        images, samples = images[sound], samples.where(sound)
    keys = index.keys[samples.posts]
    offsets, labels = index.labels_of(samples.posts)
    flips = np.zeros(len(samples), dtype=np.bool_)
    if seed is not None:
        flips = uniforms(seed, samples.epochs, keys, samples.repeats, FLIP_DRAW) < 0.5
    return Batch(images, offsets, labels, flips, keys, samples, skipped, missing)
