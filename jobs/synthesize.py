"""Draw a corpus to try everything with: posts with hashtags, their truth, and a probe.

Writes posts.parquet, truth.parquet, probe_train.parquet, probe_test.parquet and contact.png. The
same seed gives the same files. Nothing is downloaded.
"""

import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from hashnext import cli, cluster
from hashnext.errors import ConfigError
from hashnext.images.contact_sheet import contact_sheet
from hashnext.outputs import JobFolder
from hashnext.posts.synthetic.corpus import labelled, post
from hashnext.progress import Meter, meter

CHUNK = 50
"""Rows that one Ray task draws."""
ROW_GROUP = 250
SHEET = 72
POSTS = pa.schema([
    ("post_id", pa.string()), ("image", pa.binary()), ("hashtags", pa.list_(pa.string())),
    ("public", pa.bool_()),
])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Synthesize:
    """Arguments of the job."""

    out: str
    """Folder of the corpus, new or this job's own."""
    num_posts: int = 3000
    """Posts to draw."""
    num_probe_train: int = 1000
    """Labelled images to fit a probe on."""
    num_probe_test: int = 1000
    """Labelled images to score it on."""
    seed: int = 0
    """Seed of everything drawn."""

    def __post_init__(self) -> None:
        for key in ("num_posts", "num_probe_train", "num_probe_test"):
            if getattr(self, key) < 1:
                raise ConfigError(key.replace("_", "-"), getattr(self, key), "must be at least 1")


def main(job: Synthesize) -> dict[str, Any]:
    """Draw the corpus and return the result."""
    settings = {key: value for key, value in asdict(job).items() if key != "out"}
    folder = JobFolder.claim(job.out, "synthesize", settings)
    if folder.finished:
        return cli.report(folder)
    started = time.monotonic()
    total = job.num_posts + job.num_probe_train + job.num_probe_test
    with cluster.session(), meter("synthesize", total, "images") as progress:
        posts = _draw(partial(post, job.seed), job.num_posts, progress, 0)
        train = partial(labelled, job.seed, "train")
        test = partial(labelled, job.seed, "test")
        probe_train = _draw(train, job.num_probe_train, progress, job.num_posts)
        probe_test = _draw(test, job.num_probe_test, progress, total - job.num_probe_test)
    _write(folder, posts, probe_train, probe_test)
    folder.finish({
        "counts": {"posts": job.num_posts, "probe_train": job.num_probe_train,
                   "probe_test": job.num_probe_test},
        "issues": dict(Counter(row["issue"].split(":")[0] or "sound" for row in posts)),
        "hashtags": len({tag for row in posts for tag in row["hashtags"]}),
        "seconds": round(time.monotonic() - started, 2),
    })  # fmt: skip
    return cli.report(folder)


def _draw(
    make: Callable[[int], dict[str, Any]], count: int, progress: Meter, done: int
) -> list[dict[str, Any]]:
    """Rows 0..count, drawn by Ray tasks, in order."""

    def rows(start: int) -> list[dict[str, Any]]:
        return [make(number) for number in range(start, min(start + CHUNK, count))]

    chunk = ray.remote(rows)
    pending = [chunk.remote(start) for start in range(0, count, CHUNK)]
    drawn: list[dict[str, Any]] = []
    for reference in pending:
        part: list[dict[str, Any]] = ray.get(reference)
        drawn += part
        progress.update(done + len(drawn))
    return drawn


def _write(
    folder: JobFolder, posts: list[dict[str, Any]], train: list[dict[str, Any]],
    test: list[dict[str, Any]],
) -> None:  # fmt: skip
    out = folder.folder
    table = pa.Table.from_pylist(posts, schema=POSTS.append(pa.field("wnid", pa.string())).append(
        pa.field("issue", pa.string())
    ))  # fmt: skip
    out.write_table("posts.parquet", table.select(POSTS.names), ROW_GROUP)
    out.write_table("truth.parquet", table.select(["post_id", "wnid", "issue"]))
    out.write_table("probe_train.parquet", pa.Table.from_pylist(train), ROW_GROUP)
    out.write_table("probe_test.parquet", pa.Table.from_pylist(test), ROW_GROUP)
    sound = [row["image"] for row in posts if not row["issue"]]
    picture = io.BytesIO()
    contact_sheet(sound[:SHEET]).save(picture, "PNG")
    out.write_bytes("contact.png", picture.getvalue())


if __name__ == "__main__":
    cli.run(Synthesize, main, __doc__)
