"""Posts without images in Parquet, as many as wanted: 50,000 distinct hashtags with a Zipf tail.

The tags are the kinds that real posts carry: nouns and plurals, compounds, habits (#instadog),
other scripts, capitals, jargon and noise. The tag of rank r has 1/r of the first one's share, so
that a million posts meet every tag. The same arguments write the same posts. From the repository
root:

    uv run -m tests.benchmarks.post_lists --out /tmp/posts_1m --posts 1000000
"""

import argparse
import string
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashnext.hashtags import lexicon

NUM_TAGS = 50_000
MEAN_TAGS = 6.0
MAX_TAGS = 30
PRIVATE_SHARE = 0.03
REPEATING_SHARE = 0.01
"""Posts that may carry a tag more than once."""
ROW_GROUP = 50_000
FILE_ROWS = 1_000_000
SCHEMA = pa.schema(
    [("post_id", pa.string()), ("hashtags", pa.list_(pa.string())), ("public", pa.bool_())]
)
SHARES = {
    "noun": 0.2, "plural": 0.1, "compound": 0.2, "habit": 0.15, "capitals": 0.1, "script": 0.05,
    "jargon": 0.1, "noise": 0.1,
}  # fmt: skip
"""How many of the distinct tags are of each kind."""
HABITS = (
    "insta{}", "{}lover", "{}sofinstagram", "{}photography", "{}oftheday", "{}gram", "ilove{}",
    "{}life", "my{}", "{}love",
)  # fmt: skip
JARGON = ("tbt", "ootd", "l4l", "f4f", "fyp", "nofilter", "igers", "picoftheday", "likeforlike")
SCRIPTS = (
    "абвгдежзиклмнопрстуфхцчшя", "αβγδεζηθικλμνξοπρστυφχψω", "あいうえおかきくけこさしすせそ",
    "犬猫空海花山夏冬春日月火水木金土", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "กขคงจฉชซดตถทนบปผพ",
    "éèêàçñöüåøß",
)  # fmt: skip


def distinct_tags(seed: int, num_tags: int = NUM_TAGS) -> list[str]:
    """The tags in the order of their rank, all different as written."""
    rng = np.random.default_rng([seed, 1])
    nouns = sorted(word for word in lexicon.load().single_words if word.isascii() and len(word) > 2)
    kinds = rng.choice(list(SHARES), num_tags, p=list(SHARES.values()))
    found: dict[str, None] = {}
    for kind in kinds:
        while (tag := _draw_tag(kind, nouns, rng)) in found:
            pass
        found[tag] = None
    return list(found)


def _draw_tag(kind: str, nouns: list[str], rng: np.random.Generator) -> str:
    noun, other = (nouns[i] for i in rng.integers(len(nouns), size=2))
    match kind:
        case "noun":
            return noun
        case "plural":
            return noun + "s"
        case "compound":
            return noun + other
        case "habit":
            return HABITS[rng.integers(len(HABITS))].format(noun)
        case "capitals":
            return noun.capitalize() + other.capitalize() * int(rng.integers(2))
        case "script":
            return _letters(SCRIPTS[rng.integers(len(SCRIPTS))], rng)
        case "jargon":
            return JARGON[rng.integers(len(JARGON))] + str(rng.integers(10_000))
    return _letters(string.ascii_lowercase, rng)


def _letters(alphabet: str, rng: np.random.Generator) -> str:
    return "".join(alphabet[i] for i in rng.integers(len(alphabet), size=rng.integers(2, 12)))


def some_posts(first: int, num_posts: int, tags: pa.Array, seed: int) -> pa.Table:
    """Posts `first` to `first + num_posts` of the list, a function of these arguments alone."""
    rng = np.random.default_rng([seed, 2, first])
    rows, ranks = _draws(num_posts, len(tags), rng)
    offsets = np.searchsorted(rows, np.arange(num_posts + 1))
    ids = (np.arange(first, first + num_posts, dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    return pa.table([
        pc.cast(pa.array(ids), pa.string()),
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), tags.take(pa.array(ranks))),
        pa.array(rng.random(num_posts) >= PRIVATE_SHARE),
    ], SCHEMA)  # fmt: skip


def _draws(
    num_posts: int, num_tags: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row (m,), ascending, and rank (m,) of every tag; few posts repeat one."""
    lengths = rng.negative_binomial(3, 3 / (3 + MEAN_TAGS), num_posts).clip(max=MAX_TAGS)
    rows = np.repeat(np.arange(num_posts), lengths)
    shares = np.cumsum(1 / np.arange(1, num_tags + 1))
    ranks = np.searchsorted(shares, rng.random(len(rows)) * shares[-1]).clip(max=num_tags - 1)
    _, first = np.unique(rows * num_tags + ranks, return_index=True)
    kept = (rng.random(num_posts) < REPEATING_SHARE)[rows]
    kept[first] = True
    return rows[kept], ranks[kept]


def write_posts(out: str | Path, num_posts: int, seed: int = 0) -> Path:
    """Write posts as files of a million, in row groups of 50,000; returns the folder."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tags = pa.array(distinct_tags(seed))
    for begin in range(0, num_posts, FILE_ROWS):
        stop = min(begin + FILE_ROWS, num_posts)
        with pq.ParquetWriter(out / f"posts-{begin // FILE_ROWS:05d}.parquet", SCHEMA) as writer:
            for first in range(begin, stop, ROW_GROUP):
                writer.write_table(some_posts(first, min(ROW_GROUP, stop - first), tags, seed))
    return out


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="folder for the Parquet files")
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_posts(args.out, args.posts, args.seed)


if __name__ == "__main__":
    main()
