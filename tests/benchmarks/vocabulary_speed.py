"""Speed of counting and of the whole vocabulary build, beside polars counting the same hashtags.

Polars counts the posts of each hashtag as written over the public posts that are not held out, a
tag once a post. It runs in two ways: `polars` finds the held-out posts itself, with our
`post_keys`, for a held-out post is one by the BLAKE2b of its id and polars has no BLAKE2b;
`polars, told` is handed that column for nothing. Both are targets of their own. All figures are of
one run on one machine, after Ray has started and its workers have imported what they need; the
programs take turns, and medians are compared. `--large` adds ten million posts; memory is that of
the driver and all of Ray's processes, sampled. Run from the repository root:

    uv run -m tests.benchmarks.vocabulary_speed --large
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa

from hashnext import cluster
from hashnext.hashtags.build import VocabularyConfig, build_vocabulary
from hashnext.hashtags.corpus import read_corpus
from hashnext.hashtags.count import CountTags, tally
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource
from hashnext.progress import Stopwatch
from tests.benchmarks.memory import memory, peak_memory
from tests.benchmarks.post_lists import write_posts
from tests.benchmarks.table import row

MAX_COUNTING = 2.0
MAX_BUILD = 8.0
MAX_GROWTH = 12.0
MAX_MEMORY_GROWTH = 2.0

T = TypeVar("T")


def polars_counts(folder: Path, training: pl.Series | None = None) -> pl.DataFrame:
    """`hashtags` and `posts` of the posts of a folder; `training` (n,) is worked out if absent."""
    names = ["hashtags", "public"] + ["post_id"] * (training is None)
    posts = pl.scan_parquet(folder / "*.parquet").select(names).filter(pl.col("public"))
    if training is not None:
        posts = pl.scan_parquet(folder / "*.parquet").select(names).with_columns(training=training)
        kept = posts.filter(pl.col("public") & pl.col("training"))
    else:
        kept = posts.filter(pl.col("post_id").map_batches(not_held_out, return_dtype=pl.Boolean))
    tags = kept.select(pl.col("hashtags").list.unique()).explode("hashtags").drop_nulls()
    return tags.group_by("hashtags").agg(posts=pl.len()).collect()


def not_held_out(post_ids: pl.Series) -> pl.Series:
    """True for training posts, (n,)."""
    return pl.Series(~held_out(post_keys(post_ids.to_arrow())))


def check_equal(ours: pa.Table, theirs: pl.DataFrame) -> None:
    """Both have found the same hashtags on the same numbers of posts."""
    counts = dict(zip(ours["key"].to_pylist(), ours["posts"].to_pylist(), strict=True))
    counts.pop(None)
    met = {tag: posts for tag, posts in counts.items() if posts}
    assert met == dict(theirs.select("hashtags", "posts").iter_rows()), "the counts differ"


def timed_build(source: PostSource) -> dict[str, float]:
    """Seconds of a whole build, and of its stages."""
    clock = Stopwatch()
    total, _ = timed(lambda: build_vocabulary(source, VocabularyConfig(), clock))
    return {"build": total} | {f"  {stage}": seconds for stage, seconds in clock.seconds.items()}


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and the result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def ratio(what: str, value: float, limit: float) -> None:
    """Print a ratio beside its target."""
    row(what, f"{value:.2f}x", f"at most {limit:g}x", value <= limit)


def compare(folder: Path, repeats: int) -> None:
    """Counting and building beside polars, taking turns."""
    source = PostSource.open(folder)
    posts = pl.scan_parquet(folder / "*.parquet").select("post_id").collect()["post_id"]
    training = not_held_out(posts)
    seconds = defaultdict[str, list[float]](list)
    for _ in range(repeats):
        counting, ours = timed(lambda: tally(read_corpus(source), CountTags()))
        alone, theirs = timed(lambda: polars_counts(folder))
        told, same = timed(lambda: polars_counts(folder, training))
        check_equal(ours, theirs)
        check_equal(ours, same)
        figures = {"counting": counting, "polars": alone, "polars, told": told}
        figures |= timed_build(source)
        for name, value in figures.items():
            seconds[name].append(value)
        print({name.strip(): round(value, 2) for name, value in figures.items()}, flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        spread = f"{min(seconds[name]):.2f} - {max(seconds[name]):.2f}"
        row(f"{name}, {spread}", f"{value:.2f} s")
    for name in ("polars", "polars, told"):
        ratio(f"counting / {name}", medians["counting"] / medians[name], MAX_COUNTING)
        ratio(f"build / {name}", medians["build"] / medians[name], MAX_BUILD)


def grow(small: Path, large: Path) -> None:
    """Time and peak memory of a build of ten times the posts."""
    row("memory before", f"{memory() / 2**20:,.0f} MiB")
    found = []
    for folder in (small, large):
        source = PostSource.open(folder)
        with peak_memory() as peak:
            seconds = timed_build(source)
        found.append((seconds["build"], peak[0]))
        for name, value in seconds.items():
            row(f"{source.rows:,} posts: {name}", f"{value:.2f} s")
        row(f"{source.rows:,} posts: peak memory", f"{peak[0] / 2**20:,.0f} MiB")
    ratio("time, 1M to 10M posts", found[1][0] / found[0][0], MAX_GROWTH)
    ratio("peak memory, 1M to 10M posts", found[1][1] / found[0][1], MAX_MEMORY_GROWTH)


def warm_up(source: PostSource) -> None:
    """Start the workers and let them import what counting needs."""
    for _ in range(2):
        tally(read_corpus(source), CountTags())


def main() -> None:
    """Write the posts, start Ray, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="ten million posts, too")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", help="where the posts are kept; a temporary folder if absent")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        at = Path(args.folder or temporary)
        sizes = {"1m": 1_000_000} | ({"10m": 10_000_000} if args.large else {})
        folders = [at / name for name in sizes]
        for folder, num_posts in zip(folders, sizes.values(), strict=True):
            if not folder.exists():
                write_posts(folder, num_posts)
        with cluster.session():
            warm_up(PostSource.open(folders[0]))
            if args.large:  # before polars makes the driver's memory grow
                grow(*folders)
            compare(folders[0], args.repeats)


if __name__ == "__main__":
    main()
