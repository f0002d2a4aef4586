"""How many clean posts of tinygram carry a label of what they really show.

Public posts with an empty `issue`, default options. A post counts where one of its hashtags spells
a lemma of its true synset: joined, in camel case, with underscores or with a plain s at the end
(`lemma`), or only with something written before or behind it (`affix`). It is right when a label
of the post holds the true synset. Run from the repository root:

    uv run -m tests.benchmarks.tinygram_labels
"""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hashnext import cluster
from hashnext.hashtags import lexicon
from hashnext.hashtags.build import build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns
from hashnext.settings import test_data
from tests.benchmarks.table import row

FOLDER = test_data() / "tinygram"
MIN_STEM = 3
LEAST = {"lemma": 0.97, "affix": 0.96}
"""Share of the posts that must be right, by how they are written."""


def clean_posts() -> list[dict[str, Any]]:
    """post_id, hashtags and true wnid of the public posts without an issue."""
    posts = pq.read_table(FOLDER / "posts.parquet", columns=["post_id", "hashtags", "public"])
    truth = {one["post_id"]: one for one in pq.read_table(FOLDER / "truth.parquet").to_pylist()}
    joined = [post | truth[post["post_id"]] for post in posts.to_pylist()]
    return [post for post in joined if post["public"] and not post["issue"] and post["wnid"]]


def written_as(post: dict[str, Any], lemmas: dict[str, list[str]]) -> str:
    """`lemma`, `affix` or `other`: how the post's hashtags tell the true synset."""
    tags = {normalise(tag) for tag in post["hashtags"]}
    forms = lemmas[post["wnid"]]
    if any(form in tags or f"{form}s" in tags for form in forms):
        return "lemma"
    if any(form in tag for form in forms if len(form) >= MIN_STEM for tag in tags):
        return "affix"
    return "other"


def measure(vocabulary: Vocabulary) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Posts, right posts, and the true synsets of the wrong ones, by how they are written."""
    nouns, clean = lexicon.load(), clean_posts()
    names = nouns.nouns["lemmas"].to_pylist()
    lemmas = {
        wnid: [normalise(lemma) for lemma in names[nouns.row(wnid)]]
        for wnid in {post["wnid"] for post in clean}
    }
    offsets, labels = vocabulary.view().assign(pa.array([post["hashtags"] for post in clean]))
    wnids = vocabulary.labels["wnids"].to_pylist()
    posts: Counter[str] = Counter()
    right: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for index, post in enumerate(clean):
        group = written_as(post, lemmas)
        found = {
            wnid for label in labels[offsets[index] : offsets[index + 1]] for wnid in wnids[label]
        }
        posts[group] += 1
        right[group] += post["wnid"] in found
        if post["wnid"] not in found and group != "other":
            lost[f"{group} {post['wnid']} {nouns.name(nouns.row(post['wnid']))}"] += 1
    return posts, right, lost


def main() -> None:
    """Build the vocabulary and print the shares."""
    with cluster.session():
        source = PostSource.open(str(FOLDER / "posts.parquet"), Columns(), False)
        vocabulary = build_vocabulary(source, VocabularyConfig())
    posts, right, lost = measure(vocabulary)
    for group, least in LEAST.items():
        share = right[group] / posts[group]
        what = f"{group}: {right[group]} of {posts[group]} posts"
        row(what, f"{share:.1%}", f"at least {least:.0%}", share >= least)
    for synset, count in lost.most_common(20):
        print(f"  {count} lost: {synset}")


if __name__ == "__main__":
    main()
