"""Eleven tags that must not come out wrong: they are on every second post."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext.hashtags.build import build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.readers import PostSource

KEPT = {
    "beach": "n09217230", "sunset": "n11517776", "coffee": "n07929519", "cat": "n02121620",
    "mountain": "n09359803",
}  # fmt: skip
DROPPED = ("love", "tbt", "instagood", "selfie", "nofilter", "girl")


def some_posts() -> pa.Table:
    """2,000 posts of one thing each; of the tags to be dropped two go with one thing only."""
    draw = random.Random(0)
    close = dict(zip(KEPT, DROPPED[1:], strict=False))
    tags = []
    for _ in range(2_000):
        thing = draw.choice([*KEPT, "redDress", "dog"])
        of_post = [thing, *draw.sample(DROPPED, draw.randrange(4))]
        tags.append([*of_post, close[thing]] if thing in ("cat", "coffee") else of_post)
    ids = [f"p{number}" for number in range(len(tags))]
    return pa.table({"post_id": ids, "hashtags": tags, "public": [True] * len(tags)})


@pytest.fixture(scope="module")
def vocabulary(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("posts") / "posts.parquet"
    pq.write_table(some_posts(), path)
    return build_vocabulary(PostSource.open(path), VocabularyConfig())


@pytest.mark.parametrize("tag", KEPT)
def test_kept(tag: str, vocabulary: Vocabulary) -> None:
    decisions = {row["normalised"]: row["label_id"] for row in vocabulary.decisions.to_pylist()}
    label = vocabulary.labels.to_pylist()[decisions[tag]]
    assert (label["wnid"], label["wnids"]) == (KEPT[tag], [KEPT[tag]])
    assert label["posts"] > 100


@pytest.mark.parametrize("tag", DROPPED)
def test_dropped(tag: str, vocabulary: Vocabulary) -> None:
    row = next(row for row in vocabulary.decisions.to_pylist() if row["normalised"] == tag)
    assert row["posts"] > 100
    assert row["label_id"] is None
    assert row["reason"]
    assert tag not in {tag for tags in vocabulary.labels["hashtags"].to_pylist() for tag in tags}
