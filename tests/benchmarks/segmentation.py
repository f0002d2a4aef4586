"""Words of 2,011 hashtags segmented by hand: our accuracy beside wordsegment's and wordninja's.

A hashtag counts as right when all its words are; case and underscores do not count. Differences are
paired, with a bootstrap over the hashtags. Run from the repository root:

    uv run -m tests.benchmarks.segmentation
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow.parquet as pq
import wordninja
import wordsegment

from hashnext.evaluation.bootstrap import difference_interval
from hashnext.hashtags import lexicon, words
from hashnext.settings import test_data
from tests.benchmarks.table import row

MIN_LOW = -0.01
"""Lower bound of the gain over either that must be reached."""
Splitter = Callable[[Sequence[str]], list[list[str]]]
"""The words of each of some hashtags."""


def gold() -> list[tuple[str, list[str]]]:
    """Hashtags and their words, lower case."""
    table = pq.read_table(test_data() / "hashtags" / "segmentation_gold.parquet")
    rows = table.select(["hashtag", "segmentation"]).to_pylist()
    return [(one["hashtag"], _plain(one["segmentation"].split())) for one in rows]


def right(split: Splitter, rows: list[tuple[str, list[str]]]) -> np.ndarray:
    """Which hashtags are split as by hand, bool (n,)."""
    found = split([hashtag for hashtag, _ in rows])
    return np.array([_plain(f) == expected for f, (_, expected) in zip(found, rows, strict=True)])


def one_by_one(split: Callable[[str], list[str]]) -> Splitter:
    """A splitter that takes one hashtag at a time."""
    return lambda hashtags: [split(hashtag) for hashtag in hashtags]


def _plain(found: list[str]) -> list[str]:
    return [word.lower() for word in found if word != "_"]


def main() -> None:
    """Print accuracies and differences, over all and where the last word is a lexicon noun."""
    rows, nouns = gold(), lexicon.load()
    wordsegment.load()
    ours = words.load(nouns.single_words)
    splitters: dict[str, Splitter] = {
        "hashnext": ours.split_all, "wordsegment": one_by_one(wordsegment.segment),
        "wordninja": one_by_one(wordninja.split),
    }  # fmt: skip
    results = {}
    for name, split in splitters.items():
        started = time.monotonic()
        results[name] = right(split, rows)
        each = (time.monotonic() - started) / len(rows) * 1e6
        print(f"{name:<12} {results[name].mean():.1%}, {each:.0f} µs a hashtag")
    ends_in_noun = np.array([expected[-1] in nouns.forms for _, expected in rows])
    for title, chosen in (("all", ends_in_noun | True), ("last word a noun", ends_in_noun)):
        for name in ("wordsegment", "wordninja"):
            gain = difference_interval(results["hashnext"][chosen], results[name][chosen])
            row(
                f"{title} ({chosen.sum():,}), gain over {name}", f"{gain.mean:+.1%}",
                "above 0" if chosen is ends_in_noun else "at least 0",
                gain.mean > 0 if chosen is ends_in_noun else gain.mean >= 0,
            )  # fmt: skip
            row(
                f"  95 % interval to {gain.high:+.1%}, from", f"{gain.low:+.1%}",
                f"at least {MIN_LOW:.0%}", gain.low >= MIN_LOW,
            )  # fmt: skip


if __name__ == "__main__":
    main()
