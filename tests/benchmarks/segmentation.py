"""Words of 2,011 hashtags segmented by hand: our accuracy beside wordsegment's and wordninja's.

A hashtag counts as right when all its words are; case and underscores do not count. Differences are
paired, with a bootstrap over the hashtags. Run from the repository root:

    uv run -m tests.benchmarks.segmentation
"""

import time
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import wordninja
import wordsegment

from hashnext.evaluation.bootstrap import difference_interval
from hashnext.hashtags import lexicon, words
from hashnext.settings import test_data

Splitter = Callable[[str], list[str]]


def gold() -> list[tuple[str, list[str]]]:
    """Hashtags and their words, lower case."""
    table = pq.read_table(test_data() / "hashtags" / "segmentation_gold.parquet")
    rows = table.select(["hashtag", "segmentation"]).to_pylist()
    return [(row["hashtag"], _plain(row["segmentation"].split())) for row in rows]


def right(split: Splitter, rows: list[tuple[str, list[str]]]) -> np.ndarray:
    """Which hashtags are split as by hand, bool (n,)."""
    return np.array([_plain(split(hashtag)) == expected for hashtag, expected in rows])


def _plain(found: list[str]) -> list[str]:
    return [word.lower() for word in found if word != "_"]


def main() -> None:
    """Print accuracies and differences, over all and where the last word is a lexicon noun."""
    rows, nouns = gold(), lexicon.load()
    wordsegment.load()
    ours = words.load(nouns.single_words)
    splitters: dict[str, Splitter] = {
        "hashnext": ours.split, "wordsegment": wordsegment.segment, "wordninja": wordninja.split
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
            print(
                f"{title} ({chosen.sum():,}): {gain.mean:+.1%} over {name}, "
                f"95 % interval {gain.low:+.1%} to {gain.high:+.1%}"
            )


if __name__ == "__main__":
    main()
