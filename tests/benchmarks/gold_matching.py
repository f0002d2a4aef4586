"""Precision and recall of the matcher on hashtags judged by reading: gold_hashtags.tsv.

The 400 hashtags were drawn by occurrence (draw_gold.py) and judged before the matcher was run on
them. A judgement lists every synset that is right, or `none`; both where either may be defended.
Every corpus gets its own vocabulary with default options but `min_posts` 1, so that what is judged
is the matching and not the cut. Run from the repository root:

    uv run -m tests.benchmarks.gold_matching
"""

import csv
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from hashnext import cluster
from hashnext.hashtags.build import build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns
from hashnext.settings import test_data
from tests.benchmarks.table import row

GOLD = Path(__file__).with_name("gold_hashtags.tsv")
SOURCES = {
    "harrison": "posts_harrison.parquet",
    "instagram_raw_2019": "posts_instagram_raw_2019.parquet",
}
NONE = "none"
MIN_PRECISION, MIN_RECALL = 0.95, 0.90


@dataclass(frozen=True)
class Judged:
    """One hashtag, what is right, and what the vocabulary says."""

    hashtag: str
    posts: int
    right: frozenset[str]
    """Synsets that are right; with `none` among them the tag may also go without."""
    found: frozenset[str]
    """Synsets of its label; empty when it has none."""
    named: bool
    """True when it has a label, of a synset or not."""
    rule: str
    reason: str

    @property
    def outcome(self) -> str:
        """`hit`, `wrong` label, `missed` label, or `rest`."""
        if self.named:
            return "hit" if self.found & self.right else "wrong"
        return "rest" if NONE in self.right else "missed"


def judge(vocabulary: Vocabulary, source: str) -> list[Judged]:
    """The gold rows of a source beside the decisions of its vocabulary."""
    decisions = {line["normalised"]: line for line in vocabulary.decisions.to_pylist()}
    wnids = vocabulary.labels["wnids"].to_pylist()
    judged = []
    for line in csv.DictReader(GOLD.read_text().splitlines(), delimiter="\t"):
        if line["source"] == source:
            decision = decisions[normalise(line["hashtag"])]
            label = decision["label_id"]
            judged.append(Judged(
                line["hashtag"], int(line["posts"]), frozenset(line["wnids"].split()),
                frozenset(() if label is None else wnids[label]), label is not None,
                decision["rule"], decision["reason"],
            ))  # fmt: skip
    return judged


def precision_recall(judged: list[Judged]) -> tuple[float, float]:
    """Weighted by occurrences."""
    mass: Counter[str] = Counter()
    for one in judged:
        mass[one.outcome] += one.posts
    hit = mass["hit"]
    return hit / max(hit + mass["wrong"], 1), hit / max(hit + mass["missed"] + _misnamed(judged), 1)


def _misnamed(judged: list[Judged]) -> int:
    """Occurrences of tags that have a right synset and got another: they miss it, too."""
    return sum(one.posts for one in judged if one.outcome == "wrong" and NONE not in one.right)


def show(judged: list[Judged]) -> None:
    """Print the figures and every error by rule."""
    precision, recall = precision_recall(judged)
    print(f"{len(judged)} hashtags: precision {precision:.1%}, recall {recall:.1%}")
    errors: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for one in judged:
        if one.outcome in ("wrong", "missed"):
            errors[one.outcome, one.rule].append(one)
    for (outcome, rule), wrong in sorted(errors.items()):
        print(f"  {outcome}, rule {rule!r}: {sum(one.posts for one in wrong):,} occurrences")
        for one in sorted(wrong, key=lambda one: -one.posts):
            right = " ".join(sorted(one.right))
            print(f"    {one.hashtag} ({one.posts}): {one.reason}; right: {right}")


def main() -> None:
    """Judge both corpora and print."""
    every = []
    with cluster.session():
        for name, file in SOURCES.items():
            source = PostSource.open(str(test_data() / "hashtags" / file), Columns(), True)
            judged = judge(build_vocabulary(source, VocabularyConfig(min_posts=1)), name)
            print(f"\n{name}: ", end="")
            show(judged)
            every += judged
    print(f"\nall {len(every)} hashtags, weighted by occurrences")
    for what, share, least in zip(
        ("precision", "recall"), precision_recall(every), (MIN_PRECISION, MIN_RECALL), strict=True
    ):
        row(what, f"{share:.1%}", f"at least {least:.0%}", share >= least)


if __name__ == "__main__":
    main()
