"""How fast posts become shards, beside the bare limit of the machine, and with how much memory.

Speed: the 1,000 real photos of `photos`, of 256 px as they are and enlarged until their long side
has 1,024 to 3,000 px, each posted several times. The bare limit is the same decoding, resizing and
encoding in one plain process a core, over images that lie in its memory: nothing is read, hashed,
checked or written. It encodes every image, which our side spares most of those of 256 px: they keep
their compressed picture. It runs before and after every preparation, because machines drift, and
CPU time is compared beside posts a second, because other work on the machine slows the two
unequally. Ray has been started and its workers have imported what they need. Enlarged photos have
less detail than photos of that size, so files are smaller and decode a little faster, on both sides
alike.

Memory: the peak of the driver and all of Ray's processes while 20,000 and 100,000 posts of
different small pictures are prepared, copies looked for. From the repository root:

    uv run -m tests.benchmarks.prepare [--repeats 3] [--memory 20000 100000]
"""

import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro
from PIL import Image

from hashnext import cluster
from hashnext.images.crop import resize_short_side
from hashnext.images.decode import decode, encode_jpeg
from hashnext.posts.readers import PostSource
from hashnext.settings import test_data
from hashnext.shards.budget import ErrorBudget
from hashnext.shards.duplicates import DuplicatesConfig
from hashnext.shards.identity import identity
from hashnext.shards.part import PrepareConfig, write_part
from hashnext.shards.prepare import PART_ROWS, prepare
from hashnext.storage import Folder
from tests.benchmarks.memory import cpu_seconds, memory, peak_memory
from tests.benchmarks.table import row

MIN_RATIO = 0.7
MAX_MEMORY_GROWTH = 1.25
LONG_SIDES = (1024, 3000)
ROW_GROUP = 128
TIMED = 100
"""Photos of which every step is timed by itself."""
CONFIG = PrepareConfig(duplicates=DuplicatesConfig(remove="none"))
"""Photos posted several times would be removed; they are hashed all the same."""


@dataclass(frozen=True)
class Benchmark:
    """Sizes."""

    photos: int = 1000
    """Photos, at most 1,000."""
    small_posts: int = 16_384
    """Posts of photos as they are."""
    large_posts: int = 4_096
    """Posts of enlarged photos."""
    repeats: int = 3
    """Preparations of each; 0 leaves speed out."""
    memory: tuple[int, ...] = (20_000, 100_000)
    """Posts of which memory is measured, ascending."""


def main(sizes: Benchmark) -> None:
    """Measure and print."""
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        if sizes.repeats:
            photos = [image for _, image in zip(range(sizes.photos), real_photos(), strict=False)]
            with multiprocessing.get_context("spawn").Pool() as pool:
                large = pool.map(enlarged, enumerate(photos), chunksize=16)
            speed("256 px", at / "small", photos, sizes.small_posts, sizes.repeats)
            speed("1,024-3,000 px", at / "large", large, sizes.large_posts, sizes.repeats)
        if sizes.memory:
            growth(at, sizes.memory)


def real_photos() -> Iterator[bytes]:
    """Encoded photos."""
    for batch in pq.ParquetFile(test_data() / "photos/photos.parquet").iter_batches(128):
        yield from batch["image"].to_pylist()


def enlarged(numbered: tuple[int, bytes]) -> bytes:
    """The photo with a long side that its number chooses, as JPEG."""
    number, data = numbered
    low, high = LONG_SIDES
    image = Image.open(io.BytesIO(data)).convert("RGB")
    factor = np.random.default_rng(number).integers(low, high + 1) / max(image.size)
    size = tuple(round(factor * side) for side in image.size)
    sink = io.BytesIO()
    image.resize((size[0], size[1]), Image.Resampling.BICUBIC).save(sink, "JPEG", quality=90)
    return sink.getvalue()


def write_posts(path: Path, images: Iterator[bytes]) -> None:
    """Posts of these images in row groups of `ROW_GROUP`."""
    schema = pa.schema(
        [("post_id", pa.string()), ("image", pa.binary()), ("hashtags", pa.list_(pa.string())),
         ("public", pa.bool_())]
    )  # fmt: skip
    number = 0
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        while group := [image for _, image in zip(range(ROW_GROUP), images, strict=False)]:
            ids = [f"post{n:08d}" for n in range(number, number + len(group))]
            tags, public = [["dog", "love"]] * len(group), [True] * len(group)
            writer.write_table(pa.table([ids, group, tags, public], schema=schema))
            number += len(group)


def speed(what: str, at: Path, images: list[bytes], num_posts: int, repeats: int) -> None:
    """Preparing and the bare limit, taking turns."""
    at.mkdir()
    write_posts(at / "posts.parquet", (images[n % len(images)] for n in range(num_posts)))
    megabytes = sum(map(len, images)) / len(images) / 1e6
    print(f"\n{what}: {num_posts:,} posts of {megabytes:.2f} MB", flush=True)
    rounds = max(1, num_posts // len(images))
    found: list[dict[str, float]] = []
    with cluster.session():
        prepare_posts(at / "posts.parquet", at / "warm", CONFIG, rows=4 * PART_ROWS)
        before = bare(images, rounds)
        for repeat in range(repeats):
            ours = prepare_posts(at / "posts.parquet", at / f"out{repeat}", CONFIG)
            after = bare(images, rounds)
            limits = [statistics.mean(pair) for pair in zip(before, after, strict=True)]
            found.append({
                "posts/s": ours[0], "bare images/s": limits[0], "ratio": ours[0] / limits[0],
                "CPU ms": ours[1] * 1000, "bare CPU ms": limits[1] * 1000,
                "CPU ratio": limits[1] / ours[1],
            })  # fmt: skip
            print({key: round(value, 2) for key, value in found[-1].items()}, flush=True)
            before = after
    medians = {key: statistics.median(each[key] for each in found) for key in found[0]}
    row("posts/s", f"{medians['posts/s']:,.0f}")
    for key in ("ratio", "CPU ratio"):
        row(f"of the bare limit: {key}", f"{medians[key]:.2f}x", f"at least {MIN_RATIO}x",
            medians[key] >= MIN_RATIO)  # fmt: skip
    for step, seconds in steps(images[:TIMED], at).items():
        row(f"  {step}", f"{1000 * seconds:.2f} ms")


def prepare_posts(
    posts: Path, out: Path, config: PrepareConfig, rows: int = 0
) -> tuple[float, float]:
    """Posts a second and CPU seconds a post of one preparation; of the first `rows` if given."""
    source = PostSource.open(posts)
    if rows:
        units = source.units[: -(-rows // ROW_GROUP)]
        source = PostSource(**{**vars(source), "units": units})
    started, cpu = time.perf_counter(), cpu_seconds()
    manifest = prepare(source, Folder.at(out), config, Silent(), (), ErrorBudget())
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    return manifest.input_posts / seconds, cpu / manifest.input_posts


class Silent:
    """A meter that shows nothing."""

    def update(self, done: float, note: str = "") -> None:
        """See `Meter`."""


def bare(images: list[bytes], rounds: int) -> tuple[float, float]:
    """Images a second and CPU seconds an image, `rounds` times these in one process a core."""
    context = multiprocessing.get_context("spawn")
    cores = os.cpu_count() or 1
    barrier, times = context.Barrier(cores), context.SimpleQueue()
    shares = [(images[core::cores], rounds, barrier, times) for core in range(cores)]
    processes = [context.Process(target=shrink_all, args=share) for share in shares]
    for process in processes:
        process.start()
    spans = [times.get() for _ in processes]
    for process in processes:
        process.join()
    seconds = max(stop for _, stop, _ in spans) - min(start for start, _, _ in spans)
    count = len(images) * rounds
    return count / seconds, sum(cpu for _, _, cpu in spans) / count


def shrink_all(images: list[bytes], rounds: int, barrier: Barrier, times: Any) -> None:
    """Shrink the images again and again; start, end and CPU seconds go into the queue."""
    shrink(images[0])
    barrier.wait()
    started, cpu = time.monotonic(), time.process_time()
    for _ in range(rounds):
        for image in images:
            shrink(image)
    times.put((started, time.monotonic(), time.process_time() - cpu))


def shrink(data: bytes) -> bytes:
    """What must be done with every image."""
    image = resize_short_side(decode(data, CONFIG.limits, CONFIG.size), CONFIG.size)
    return encode_jpeg(image, CONFIG.quality)


def steps(images: list[bytes], at: Path) -> dict[str, float]:
    """CPU seconds that each step of one image takes."""
    decoded = [decode(image, CONFIG.limits, CONFIG.size) for image in images]
    resized = [resize_short_side(image, CONFIG.size) for image in decoded]
    source = PostSource.open(at / "posts.parquet")
    one = pq.read_table(at / "out0" / "part-000000.parquet")
    return {
        "reading": each(lambda: rows_of(source), ROW_GROUP),
        "decoding": each(lambda: [decode(i, CONFIG.limits, CONFIG.size) for i in images], TIMED),
        "resizing": each(lambda: [resize_short_side(i, CONFIG.size) for i in decoded], TIMED),
        "encoding": each(lambda: [encode_jpeg(i, CONFIG.quality) for i in resized], TIMED),
        "hashes to find copies by": each(
            lambda: [identity("", i, r) for i, r in zip(images, resized, strict=True)], TIMED
        ),
        "writing": each(lambda: write_part(Folder.at(at), "part", one), one.num_rows),
    }


def rows_of(source: PostSource) -> list[object]:
    """The first row group's posts, as a task reads them."""
    posts = source.read(source.units[0], source.without_images())
    return list(source.images(posts, CONFIG.fetch, CONFIG.limits.max_bytes))


def each(work: Callable[[], object], count: int) -> float:
    """CPU seconds for one of `count` things, the best of three."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds) / count


def growth(at: Path, sizes: tuple[int, ...]) -> None:
    """Peak memory of preparations of different sizes, each with a Ray of its own."""
    print("\nmemory", flush=True)
    peaks = []
    for num_posts in sizes:
        posts = at / f"{num_posts}.parquet"
        write_posts(posts, drawn(num_posts))
        with cluster.session():
            prepare_posts(posts, at / f"warm{num_posts}", CONFIG, rows=4 * PART_ROWS)
            ready = memory()
            with peak_memory() as peak:
                rate, _ = prepare_posts(posts, at / f"out{num_posts}", PrepareConfig())
        peaks.append(peak[0])
        row(f"{num_posts:,} posts: before", f"{ready / 2**20:,.0f} MiB")
        row(f"{num_posts:,} posts: peak", f"{peak[0] / 2**20:,.0f} MiB")
        row(f"{num_posts:,} posts: posts/s", f"{rate:,.0f}")
    ratio = peaks[-1] / peaks[0]
    limit = f"{MAX_MEMORY_GROWTH:g}x"
    row("peak, smallest to largest", f"{ratio:.2f}x", limit, ratio <= MAX_MEMORY_GROWTH)
    per_post = (peaks[-1] - peaks[0]) / max(1, sizes[-1] - sizes[0])
    row("growth for each further post", f"{per_post:,.0f} bytes")


def drawn(count: int) -> Iterator[bytes]:
    """Different smooth random pictures of 64 x 48 px."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        yield encode_jpeg(np.asarray(coarse.resize((64, 48), Image.Resampling.BICUBIC)))


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
