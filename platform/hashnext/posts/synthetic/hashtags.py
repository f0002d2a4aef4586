"""Hashtags as people write them: synonyms, plurals, affixes, broader words, spam, and mistakes."""

from collections.abc import Sequence
from random import Random

from hashnext.posts.synthetic.concepts import Concept, concepts

SPAM = (
    "instagood", "love", "tbt", "photooftheday", "nofilter", "follow4follow", "picoftheday",
    "happy", "selfie", "beautiful", "fun", "summer", "amazing", "l4l", "style", "любовь", "лето",
    "美しい", "写真", "사랑", "حب", "été", "felicità", "✨", "🔥🔥", "monday2026",
)  # fmt: skip
AFFIXES = ("{}lover", "insta{}", "{}sofinstagram", "my{}", "{}gram", "{}oftheday")


def write_hashtags(shown: Sequence[Concept], rng: Random) -> list[str]:
    """Hashtags of a picture of these concepts: some of them missing, some wrong, some spam."""
    tags = [_written(concept, rng) for concept in shown if rng.random() > 0.08]
    tags += [rng.choice(concept.broader) for concept in shown if rng.random() < 0.25]
    if rng.random() < 0.06:
        tags.append(_written(rng.choice(concepts()), rng))
    tags += rng.sample(SPAM, rng.choice((0, 0, 1, 2, 4)))
    rng.shuffle(tags)
    return ["#" + tag if rng.random() < 0.4 else tag for tag in tags]


def _written(concept: Concept, rng: Random) -> str:
    usual, *others = concept.names
    words = (rng.choice(others) if others and rng.random() < 0.3 else usual).split("_")
    joined, style = "".join(words), rng.random()
    if style < 0.12:
        return "".join(word.capitalize() for word in words)
    if style < 0.37:
        return joined + "s" if style < 0.27 else rng.choice(AFFIXES).format(joined)
    return joined + concept.emoji if style < 0.42 else joined
