"""Coverage of two real corpora, and their 50 most frequent hashtags kept and dropped, with reasons.

For reading: no embarrassing keep (#love), no embarrassing drop (#beach). Default options. Run from
the repository root:

    uv run -m tests.benchmarks.frequent_hashtags
"""

from collections.abc import Iterable
from typing import Any

from hashnext import cluster
from hashnext.hashtags.build import build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns
from hashnext.settings import test_data
from tests.benchmarks.gold_matching import SOURCES

SHOWN = 50


def coverage(vocabulary: Vocabulary) -> tuple[float, float]:
    """Share of the occurrences of hashtags, and of the posts, that have a label."""
    rows = vocabulary.decisions.to_pylist()
    named = sum(row["posts"] for row in rows if row["label_id"] is not None)
    share = named / sum(row["posts"] for row in rows)
    return share, vocabulary.meta["labelled"] / vocabulary.meta["posts"]


def show(title: str, rows: Iterable[dict[str, Any]], names: list[str]) -> None:
    """Print the most frequent of some decisions."""
    print(f"\n{title}")
    for row in list(rows)[:SHOWN]:
        label = "" if row["label_id"] is None else f" -> {names[row['label_id']]}"
        print(f"  {row['posts']:>6,} {row['hashtag']}{label} ({row['rule']}: {row['reason']})")


def main() -> None:
    """Build both vocabularies and print."""
    with cluster.session():
        for name, file in SOURCES.items():
            source = PostSource.open(str(test_data() / "hashtags" / file), Columns(), True)
            vocabulary = build_vocabulary(source, VocabularyConfig())
            occurrences, posts = coverage(vocabulary)
            print(f"\n{name}: {occurrences:.1%} of occurrences, {posts:.1%} of posts have a label")
            rows = vocabulary.decisions.to_pylist()
            names = vocabulary.labels["name"].to_pylist()
            show("kept", (row for row in rows if row["label_id"] is not None), names)
            show("dropped", (row for row in rows if row["label_id"] is None), names)


if __name__ == "__main__":
    main()
