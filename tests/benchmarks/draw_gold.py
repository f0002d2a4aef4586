"""Draws the hashtags of gold_hashtags.tsv by occurrence and prints `hashtag source posts`.

Every draw is one random occurrence of a hashtag, repeated until enough distinct hashtags are
drawn, so that frequent hashtags are as likely here as in the posts. No hashtag is drawn twice,
in whatever case, from either source. Run from the repository root:

    python tests/benchmarks/draw_gold.py > drawn.tsv
"""

import random
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from hashnext.settings import test_data

SEED = 2019
SOURCES = {
    "harrison": "posts_harrison.parquet",
    "instagram_raw_2019": "posts_instagram_raw_2019.parquet",
}
TAGS_PER_SOURCE = 200


def read_posts(path: Path) -> list[list[str]]:
    """Hashtags of every post as written, without a leading # and without empty ones."""
    column = pq.read_table(path, columns=["hashtags"]).column("hashtags").to_pylist()
    posts = [[tag.strip().removeprefix("#") for tag in tags or [] if tag] for tags in column]
    return [[tag for tag in tags if tag] for tags in posts]


def draw(posts: list[list[str]], size: int, seen: set[str], rng: random.Random) -> list[str]:
    """Draws hashtags by occurrence until `size` new ones are found; adds them to `seen`."""
    occurrences = [tag for tags in posts for tag in tags]
    if len({tag.lower() for tag in occurrences} - seen) < size:
        raise ValueError(f"fewer than {size} distinct hashtags")
    drawn: list[str] = []
    while len(drawn) < size:
        tag = rng.choice(occurrences)
        if tag.lower() not in seen:
            seen.add(tag.lower())
            drawn.append(tag)
    return drawn


def main() -> None:
    """Prints the drawn hashtags of every source with the number of posts that carry them."""
    rng = random.Random(SEED)
    seen: set[str] = set()
    print("hashtag", "source", "posts", sep="\t")
    for source, name in SOURCES.items():
        posts = read_posts(test_data() / "hashtags" / name)
        counts = Counter(tag for tags in posts for tag in {tag.lower() for tag in tags})
        for tag in draw(posts, TAGS_PER_SOURCE, seen, rng):
            print(tag, source, counts[tag.lower()], sep="\t")


if __name__ == "__main__":
    main()
