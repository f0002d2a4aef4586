"""From a normalised tag to the noun in it: the rules, each with a name and a confidence."""

from collections.abc import Iterator
from dataclasses import dataclass

from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.normalise import without_diacritics

MAX_LENGTH = 100
"""Letters beyond which a tag is no noun: WordNet's longest is 65 written together."""
MIN_STEM = 3
"""Letters that an affix must leave: `instacat`, but not `instaup`."""


@dataclass(frozen=True)
class Match:
    """The noun that a tag holds, as a form of the lexicon, and how it was found."""

    form: str
    rule: str
    confidence: float
    """Belief in [0, 1] that the tag is about this noun, judged once per rule."""


@dataclass(frozen=True)
class Affix:
    """A habit of writing: the noun stands between `prefix` and `suffix`."""

    prefix: str
    suffix: str
    confidence: float

    @property
    def rule(self) -> str:
        """Name of the rule, such as `...ofinstagram`."""
        return f"{self.prefix}...{self.suffix}" if self.suffix else f"{self.prefix}..."

    def stem(self, tag: str) -> str | None:
        """What is left of the tag without the affix, or None when it has not got it."""
        if not (tag.startswith(self.prefix) and tag.endswith(self.suffix)):
            return None
        stem = tag[len(self.prefix) : len(tag) - len(self.suffix)]
        return stem if len(stem) >= MIN_STEM else None


PLURALS = (
    ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("ses", "s"), ("xes", "x"), ("zes", "z"),
    ("ves", "f"), ("ies", "y"), ("men", "man"), ("s", ""), ("es", ""),
)  # fmt: skip
"""Endings of regular plurals and what they stand for: WordNet's own rules, and -es."""

AFFIXES = (
    Affix("", "ofinstagram", 0.9), Affix("", "sofig", 0.85), Affix("", "ofig", 0.85),
    Affix("", "oftheday", 0.85), Affix("", "oftheworld", 0.8),
    Affix("", "photography", 0.8), Affix("", "photos", 0.8), Affix("", "pics", 0.8),
    Affix("", "photo", 0.8), Affix("", "pic", 0.8),
    Affix("", "stagram", 0.8), Affix("", "sagram", 0.8), Affix("", "agram", 0.75),
    Affix("", "gram", 0.75), Affix("", "porn", 0.75), Affix("", "spotting", 0.75),
    Affix("", "lovers", 0.75), Affix("", "lover", 0.75), Affix("", "love", 0.7),
    Affix("", "lifestyle", 0.6), Affix("", "life", 0.65), Affix("", "time", 0.65),
    Affix("", "addict", 0.7), Affix("", "daily", 0.7), Affix("", "day", 0.5),
    Affix("instagram", "", 0.75), Affix("insta", "", 0.8), Affix("ilovemy", "", 0.8),
    Affix("ilove", "", 0.7), Affix("love", "", 0.6), Affix("my", "", 0.7), Affix("daily", "", 0.7),
)  # fmt: skip
"""The habits, tried in this order. To teach another one, add a line."""


def match(tag: str, lexicon: Lexicon) -> Match | None:
    """The noun in a normalised tag by the first rule that finds one, or None.

    The tag as a whole comes first, then its singular, then what an affix leaves of it.
    """
    if len(tag) > MAX_LENGTH:
        return None
    if whole := _as_noun(tag, lexicon):
        return whole
    for affix in AFFIXES:
        stem = affix.stem(tag)
        if stem and (inner := _as_noun(stem, lexicon)):
            return Match(inner.form, affix.rule, affix.confidence * inner.confidence)
    return None


def _as_noun(tag: str, lexicon: Lexicon) -> Match | None:
    if lexicon.senses(tag):
        return Match(tag, "lemma", 1.0)
    for singular in lexicon.exceptions.get(tag, []):
        if lexicon.senses(singular):
            return Match(singular, "irregular plural", 0.95)
    for singular in _singulars(tag):
        if lexicon.senses(singular):
            return Match(singular, "plural", 0.95)
    plain = without_diacritics(tag)
    if plain != tag and (inner := _as_noun(plain, lexicon)):
        return Match(inner.form, "without diacritics", 0.9 * inner.confidence)
    return None


def _singulars(tag: str) -> Iterator[str]:
    for ending, replacement in PLURALS:
        if tag.endswith(ending) and len(tag) > len(ending) + 1:
            yield tag.removesuffix(ending) + replacement
