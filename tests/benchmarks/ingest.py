"""Shards to training batches: our stream beside other loaders, and beside the bare limit.

The same JPEGs (real photos, short side 256, repeated to 10,240) become random 224 crops in batches
of 128 with all cores:

ours         `training_batches`: Parquet shards, Ray Data actors
bare         the same loading in plain processes that hand nothing on; before and after every
             loader, since machines drift
Pillow       torchvision's reference: DataLoader over files, Pillow, RandomResizedCrop, flip,
             normalise
torchvision  DataLoader over files, torchvision.io's decoder, transforms v2
webdataset   WebDataset over tars, Pillow, the reference's transforms

Rates are those after the first batch; the time to the first batch stands beside. Ours leaves flip
and normalisation to the device, where training does them. Run from the repository root:

    uv run -m tests.benchmarks.ingest
"""

import argparse
import itertools
import os
import statistics
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import webdataset
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import io as tvio
from torchvision import transforms
from torchvision.transforms import v2

from hashnext import cluster
from hashnext.hashtags.view import numbering
from hashnext.images.decode import DecodeLimits
from hashnext.posts.readers import PostSource
from hashnext.progress import meter
from hashnext.settings import test_data
from hashnext.shards.batch import StreamConfig
from hashnext.shards.budget import ErrorBudget
from hashnext.shards.duplicates import DuplicatesConfig
from hashnext.shards.index import build_index
from hashnext.shards.loader import Crops, ShardReader, load
from hashnext.shards.manifest import Manifest
from hashnext.shards.part import PrepareConfig
from hashnext.shards.prepare import prepare
from hashnext.shards.stream import TrainingSet, training_batches
from hashnext.storage import Folder
from tests.benchmarks.table import row

CORES = os.cpu_count() or 1
BATCH = 128
SIZE = 224
PHOTOS_PER_TAR = 1000
AT_LEAST = {"Pillow": 2.5, "torchvision": 1.3, "bare": 0.8}
APART = "forkserver"
"""How the others' workers start: a process with Ray's threads must not be forked."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Batches = Callable[[], Iterable[int]]
"""Starts a loader and yields the sizes of its batches."""


@dataclass(frozen=True)
class Speed:
    """How a loader ran."""

    first_s: float
    """Seconds to the first batch."""
    rate: float
    """Images a second after it."""


def run(batches: Batches, images: int) -> Speed:
    """Load all images and time it."""
    started = time.perf_counter()
    sizes = iter(batches())
    loaded = next(sizes)
    first = time.perf_counter()
    rest = sum(sizes)
    assert loaded + rest == images, f"{loaded + rest} images instead of {images}"
    return Speed(first - started, rest / (time.perf_counter() - first))


def write_posts(path: Path, count: int) -> None:
    """Parquet of `count` posts that repeat the photos."""
    photos = pq.read_table(test_data() / "photos" / "photos.parquet")["image"].combine_chunks()
    with pq.ParquetWriter(path, pa.schema([
        ("post_id", pa.string()), ("image", pa.binary()), ("hashtags", pa.list_(pa.string())),
        ("public", pa.bool_()),
    ])) as writer:  # fmt: skip
        for start in range(0, count, 1000):
            size = min(1000, count - start)
            writer.write_table(pa.table({
                "post_id": [f"{number:06d}" for number in range(start, start + size)],
                "image": photos.take(pa.array(np.arange(start, start + size) % len(photos))),
                "hashtags": [["dog"]] * size, "public": [True] * size,
            }, writer.schema))  # fmt: skip


def write_shards(posts: Path, out: Path) -> Folder:
    """Shards of the posts at a short side of 256, the repeated photos kept."""
    folder = Folder.at(out)
    config = PrepareConfig(duplicates=DuplicatesConfig(remove="none"))
    source = PostSource.open(posts)
    with meter("prepare", source.rows or 0, "posts") as progress:
        prepare(source, folder, config, progress, [], ErrorBudget())
    return folder


def stored_images(shards: Folder, data: TrainingSet) -> Iterator[bytes]:
    """The JPEGs of the training posts, in their order."""
    reader = ShardReader.of(shards, data.manifest, 1)
    for group, at in zip(data.index.row_groups.tolist(), data.index.rows.tolist(), strict=True):
        yield reader.image(group, at)


def training_set(shards: Folder, config: StreamConfig) -> TrainingSet:
    """All training posts of the shards, each with one label, none repeated."""
    manifest = Manifest.read(shards)
    index = build_index(shards, manifest, numbering(["dog"]))
    index = index.subset(~index.held_out)
    return TrainingSet(
        shards=shards, manifest=manifest, index=index, factors=np.ones(len(index)), seed=0,
        config=config,
    )  # fmt: skip


def ours(data: TrainingSet) -> Iterator[int]:
    """One epoch of our stream."""
    batches = training_batches(data, batch=BATCH, images=len(data.index), start=0, rank=0, world=1)
    for batch in batches:
        assert not batch.skipped
        yield len(batch)


class Bare:
    """The same loading in plain processes, one a core, that hand back only how much they did."""

    def __init__(self, data: TrainingSet) -> None:
        self.data = data
        self.pool = ProcessPoolExecutor(CORES, get_context("spawn"), _remember, (data,))
        list(self.pool.map(time.sleep, [0.5] * CORES))  # all of them have started

    def __call__(self) -> Iterator[int]:
        """One epoch; the batches come in any order."""
        starts = range(0, len(self.data.index), BATCH)
        yield from self.pool.map(_load, starts)


def _remember(data: TrainingSet) -> None:
    global _data, _reader, _order
    _data, _order = data, data.order()
    cached = data.config.cached_row_groups(1)
    _reader = ShardReader.of(data.shards, data.manifest, cached)


def _load(start: int) -> int:
    samples = _order.take(start, min(start + BATCH, len(_data.index)))
    crops = Crops(SIZE, _data.seed, _data.config.min_crop_area)
    loaded = load(_reader, _data.index, samples, crops, DecodeLimits())
    return len(loaded["image"])


class Files(Dataset[Tensor]):
    """Images in files of their own."""

    def __init__(self, paths: list[str], read: Callable[[str], Tensor]) -> None:
        self.paths, self.read = paths, read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.read(self.paths[index])


REFERENCE = transforms.Compose([
    transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(),
    transforms.ToTensor(), transforms.Normalize(MEAN, STD),
])  # fmt: skip
"""torchvision's reference for training on ImageNet."""
TENSORS = v2.Compose([
    v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip(),
    v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD),
])  # fmt: skip


def read_with_pillow(path: str) -> Tensor:
    """The reference's reading of one file."""
    with Image.open(path) as image:
        found: Tensor = REFERENCE(image.convert("RGB"))
    return found


def read_with_torchvision(path: str) -> Tensor:
    """The same with torchvision's own decoder, on tensors throughout."""
    found: Tensor = TENSORS(tvio.decode_image(tvio.read_file(path), tvio.ImageReadMode.RGB))
    return found


def dataloader(paths: list[str], read: Callable[[str], Tensor]) -> Iterator[int]:
    """One epoch of a DataLoader over files."""
    loader = DataLoader(
        Files(paths, read), BATCH, shuffle=True, num_workers=CORES, multiprocessing_context=APART
    )
    for batch in loader:
        yield len(batch)


def from_tars(tars: list[str]) -> Iterator[int]:
    """One epoch of WebDataset: tars shared out to the workers, a shuffle buffer of 1,000."""
    dataset = (
        webdataset.WebDataset(tars, shardshuffle=len(tars), empty_check=False)
        .shuffle(1000)
        .decode("pil")
        .to_tuple("jpg")
        .map_tuple(REFERENCE)
        .batched(BATCH)
    )
    for (batch,) in webdataset.WebLoader(
        dataset, batch_size=None, num_workers=CORES, multiprocessing_context=APART
    ):
        yield len(batch)


def write_files(images: Iterable[bytes], folder: Path) -> list[str]:
    """A file for each image."""
    folder.mkdir()
    paths = []
    for number, image in enumerate(images):
        path = folder / f"{number:06d}.jpg"
        path.write_bytes(image)
        paths.append(str(path))
    return paths


def write_tars(paths: list[str], folder: Path) -> list[str]:
    """The files in tars of a thousand."""
    folder.mkdir()
    tars = []
    for first in range(0, len(paths), PHOTOS_PER_TAR):
        tars.append(str(folder / f"{first:06d}.tar"))
        with tarfile.open(tars[-1], "w") as tar:
            for path in paths[first : first + PHOTOS_PER_TAR]:
                tar.add(path, Path(path).name)
    return tars


def compare(loaders: dict[str, Batches], images: int, repeats: int) -> None:
    """Let the loaders take turns, each between two runs of the bare limit, and print."""
    speeds = defaultdict[str, list[Speed]](list)
    of_bare = defaultdict[str, list[float]](list)
    bare = [run(loaders["bare"], images).rate]
    for _ in range(repeats):
        for name in loaders.keys() - {"bare"}:
            speeds[name].append(run(loaders[name], images))
            bare.append(run(loaders["bare"], images).rate)
            of_bare[name].append(speeds[name][-1].rate / statistics.mean(bare[-2:]))
            print(
                f"{name}: {speeds[name][-1].rate:,.0f} images/s, bare {bare[-1]:,.0f}", flush=True
            )
    report(speeds, {name: statistics.median(ratios) for name, ratios in of_bare.items()})
    row("bare, images/s", f"{statistics.median(bare):,.0f}")


def report(speeds: dict[str, list[Speed]], of_bare: dict[str, float]) -> None:
    """Print the table; ratios are those of shares of the bare limit beside each run."""
    for name, runs in speeds.items():
        rate = statistics.median(speed.rate for speed in runs)
        first = sorted(speed.first_s for speed in runs)
        row(f"{name}, images/s ({of_bare[name]:.2f} of bare)", f"{rate:,.0f}")
        row(f"{name}, seconds to the first batch, least to most", f"{first[0]:.1f}-{first[-1]:.1f}")
    for other in sorted(of_bare.keys() - {"ours"}):
        ratio = of_bare["ours"] / of_bare[other]
        least = AT_LEAST.get(other)
        target = f"at least {least:g}x" if least else ""
        row(f"ours / {other}", f"{ratio:.2f}x", target, ratio >= (least or 0))
    row("ours / bare", f"{of_bare['ours']:.2f}x", "at least 0.8x", of_bare["ours"] >= 0.8)


def main() -> None:
    """Write the photos in every form, start Ray, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=10_800, help="posts; 95 %% are for training")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}, {CORES} cores")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        write_posts(at / "posts.parquet", args.images)
        with cluster.session():
            shards = write_shards(at / "posts.parquet", at / "shards")
            data = training_set(shards, StreamConfig(size=SIZE))
        paths = write_files(stored_images(shards, data), at / "files")
        tars = write_tars(paths, at / "tars")
        loaders: dict[str, Batches] = {
            "bare": Bare(data),
            "ours": lambda: ours(data),
            "Pillow": lambda: dataloader(paths, read_with_pillow),
            "torchvision": lambda: dataloader(paths, read_with_torchvision),
            "webdataset": lambda: from_tars(tars),
        }
        with cluster.session():  # a new one, whose workers have loaded nothing yet
            row("ours, cold: seconds to the first batch", f"{first_batch(data):.1f}")
            compare(loaders, len(paths), args.repeats)


def first_batch(data: TrainingSet) -> float:
    """Seconds to the first batch of our stream."""
    return run(lambda: itertools.islice(ours(data), 1), BATCH).first_s


if __name__ == "__main__":
    main()
