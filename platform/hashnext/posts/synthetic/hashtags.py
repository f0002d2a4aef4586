"""Hashtags as people write them: synonyms, plurals, affixes, broader words, spam, and mistakes."""

from random import Random

from hashnext.posts.synthetic.concepts import CONCEPTS, Concept

SPAM = (
    "instagood", "love", "tbt", "photooftheday", "nofilter", "follow4follow", "picoftheday",
    "happy", "selfie", "beautiful", "fun", "summer", "amazing", "l4l", "style", "любовь", "лето",
    "美しい", "写真", "사랑", "حب", "été", "felicità", "✨", "🔥🔥", "monday2026",
)  # fmt: skip
AFFIXES = ("{}lover", "insta{}", "{}sofinstagram", "my{}", "{}gram", "{}oftheday")


def write_hashtags(concepts: list[Concept], rng: Random) -> list[str]:
    """Hashtags of a picture of these concepts: some of them missing, some wrong, some spam."""
    tags = [_written(concept, rng) for concept in concepts if rng.random() > 0.08]
    tags += [concept.broader for concept in concepts if rng.random() < 0.25]
    if rng.random() < 0.06:
        tags.append(_written(rng.choice(CONCEPTS), rng))
    tags += rng.sample(SPAM, rng.choice((0, 0, 1, 2, 4)))
    rng.shuffle(tags)
    return ["#" + tag if rng.random() < 0.4 else tag for tag in tags]


def _written(concept: Concept, rng: Random) -> str:
    usual, *others = concept.names.split()
    words = (rng.choice(others) if others and rng.random() < 0.3 else usual).split("_")
    tag, camel = "".join(words), "".join(word.capitalize() for word in words)
    forms = tag, tag + "s", camel, rng.choice(AFFIXES).format(tag), tag + concept.emoji
    return rng.choices(forms, (58, 15, 12, 10, 5))[0]
