"""Is a batch like a random draw? On HARRISON's posts, which lie on disk sorted by query.

For batches of 256: how many pairs of posts in a batch come from the same query, over what a random
draw has, and chi-square of the batch's queries against those of the corpus, over its degrees of
freedom; 1 is a random draw, more is clumped, less is more even. Batches are taken one a seed, so
that they are independent; p is that of a permutation test against as many random draws. Row groups
are of 128 posts. Beside it, what the mixing costs: row groups read per sample over an epoch, by one
decoder with the cache that it has, and by four of one worker. Run from the repository root:

    uv run -m tests.benchmarks.mixing
"""

import time
import tracemalloc
from collections import OrderedDict

import numpy as np
import pyarrow.parquet as pq

from hashnext.posts.identity import post_keys
from hashnext.settings import test_data
from hashnext.shards.batch import StreamConfig
from hashnext.shards.order import Order
from hashnext.shards.part import ROW_GROUP_ROWS
from hashnext.shards.resampling import ResamplingConfig, resample

BATCH, BATCHES, PERMUTATIONS = 256, 200, 1000
Ints = np.ndarray


def corpus() -> tuple[Ints, np.ndarray, np.ndarray]:
    """Query of each post (n,), its key (n,), and f of its rarest hashtag (n,)."""
    table = pq.read_table(test_data() / "hashtags" / "posts_harrison.parquet")
    queries = np.unique(table["query_folder"].to_numpy(), return_inverse=True)[1]
    tags = table["hashtags"].combine_chunks()
    counts = np.diff(tags.offsets.to_numpy())
    ids = np.unique(tags.flatten().to_numpy(zero_copy_only=False), return_inverse=True)[1]
    post = np.repeat(np.arange(len(counts)), counts)
    rarest = np.ones(len(counts))
    np.minimum.at(rarest, post, (np.bincount(ids) / len(counts))[ids])
    return queries, post_keys(table["post_id"]), rarest


def make_order(keys: np.ndarray, factors: np.ndarray, seed: int, config: StreamConfig) -> Order:
    """The order of a run over the posts as they lie on disk."""
    return Order(
        keys=keys, row_groups=np.arange(len(keys)) // ROW_GROUP_ROWS, factors=factors, seed=seed,
        streams=config.streams, lanes=config.lanes,
    )  # fmt: skip


def pairs(queries: Ints, batch: Ints) -> float:
    """Pairs of samples of a batch that come from the same query."""
    found = np.bincount(queries[batch])
    return float((found * (found - 1)).sum() / 2)


def chi_square(queries: Ints, batch: Ints, weights: np.ndarray) -> float:
    """Chi-square of a batch's queries against the corpus's, over its degrees of freedom."""
    shares = np.bincount(queries, weights) / weights.sum()
    found = np.bincount(queries[batch], minlength=len(shares))
    expected = len(batch) * shares
    return float(((found - expected) ** 2 / expected).sum() / (len(shares) - 1))


def p_value(ours: np.ndarray, random: np.ndarray) -> float:
    """Permutation test of the difference of two means, two-sided."""
    together, rng = np.concatenate([ours, random]), np.random.default_rng(0)
    differences = []
    for _ in range(PERMUTATIONS):
        mixed = rng.permutation(together)
        differences.append(mixed[: len(ours)].mean() - mixed[len(ours) :].mean())
    return float(np.mean(np.abs(differences) >= abs(ours.mean() - random.mean())))


def reads(order: Order, cached: int, decoders: int = 1) -> float:
    """Row groups read per sample of an epoch by a worker's decoders, which take batches in turn."""
    posts = order.epoch(0).posts
    groups = order.groups[posts]
    count = 0
    for decoder in range(decoders):
        cache: OrderedDict[int, None] = OrderedDict()
        mine = groups[(np.arange(len(groups)) // BATCH) % decoders == decoder]
        for group in mine.tolist():
            if group not in cache:
                count += 1
                if len(cache) >= cached:
                    cache.popitem(last=False)
                cache[group] = None
            cache.move_to_end(group)
    return count / len(groups)


def main() -> None:
    """Print a line for each way of drawing, natural and resampled."""
    queries, keys, rarest = corpus()
    rng = np.random.default_rng(1)
    print(f"{len(queries):,} posts of {queries.max() + 1} queries, batches of {BATCH}")
    for alpha in (0.0, 0.5, 1.0):
        found = resample(ResamplingConfig(alpha=alpha), rarest, rarest)
        share = found.factors / found.factors.sum()
        draws = [rng.choice(len(queries), BATCH, p=share) for _ in range(BATCHES)]
        print(f"\nalpha {alpha}, epoch of {found.expected_epoch:,.0f}")
        ways = {"random draw": draws}
        if alpha == 0:
            starts = rng.integers(0, len(queries) - BATCH, BATCHES)
            ways["as on disk"] = [start + np.arange(BATCH) for start in starts]
        for config in (StreamConfig(streams=16, lanes=1), StreamConfig()):
            started = time.monotonic()
            batches = []
            for seed in range(BATCHES):
                posts = make_order(keys, found.factors, seed, config).epoch(0).posts
                start = rng.integers(0, len(posts) - BATCH)
                batches.append(posts[start : start + BATCH])
            seconds = (time.monotonic() - started) / BATCHES
            order, cached = make_order(keys, found.factors, 0, config), config.cached_row_groups(1)
            each = reads(order, cached), reads(order, cached, 4)
            name = f"{config.streams} streams x {config.lanes}"
            ways[name] = batches
            print(
                f"{name}: {each[0]:.4f} reads a sample, {each[1]:.4f} by four decoders; cache of "
                f"{cached} row groups; {seconds:.2f} s to lay out an epoch; bytes a sample: "
                "{:.0f} held, {:.0f} at the peak".format(*memory(order))
            )
        table(ways, queries, found.factors)


def memory(order: Order) -> tuple[float, float]:
    """Bytes a sample that an epoch takes, and took while it was laid out."""
    tracemalloc.start()
    epoch = order.epoch(0)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(epoch.posts), peak / len(epoch.posts)


def table(ways: dict[str, list[Ints]], queries: Ints, weights: np.ndarray) -> None:
    """Print both statistics of every way of drawing."""
    by_pairs = {k: np.array([pairs(queries, b) for b in v]) for k, v in ways.items()}
    by_chi = {k: np.array([chi_square(queries, b, weights) for b in v]) for k, v in ways.items()}
    print(f"{'':<20}{'pairs':>8}{'p':>8}{'chi2/df':>10}{'p':>8}{'queries a batch':>18}")
    for name, batches in ways.items():
        distinct = np.mean([len(set(queries[batch].tolist())) for batch in batches])
        ratio = by_pairs[name].mean() / by_pairs["random draw"].mean()
        print(
            f"{name:<20}{ratio:>8.3f}{p_value(by_pairs[name], by_pairs['random draw']):>8.3f}"
            f"{by_chi[name].mean():>10.3f}{p_value(by_chi[name], by_chi['random draw']):>8.3f}"
            f"{distinct:>18.1f}"
        )


if __name__ == "__main__":
    main()
