"""From a normalised tag to the noun in it: the rules, each with a name and a confidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from hashnext.hashtags.compounds import endings
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.normalise import without_diacritics

MAX_LENGTH = 100
"""Letters beyond which a tag is no noun: WordNet's longest is 65 written together."""
MIN_STEM = 3
"""Letters that an affix or a plural must leave: `instacat`, but not `instaup` or `ers`."""


class Match(NamedTuple):
    """The noun that a tag holds, as a form of the lexicon, and how it was found."""

    form: str
    rule: str
    """Names of the rules, joined by `THEN` where one works on what another leaves."""
    confidence: float
    """Belief in [0, 1] that the tag is about this noun, judged once per rule and multiplied."""

    @property
    def of_compound(self) -> bool:
        """True where the noun is only the last word of several."""
        return self.rule.endswith(HEAD_NOUN)


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

    def left(self, tag: str) -> tuple[int, int] | None:
        """Where what is left of the tag begins and ends, or None when it has not got the affix."""
        if not (tag.startswith(self.prefix) and tag.endswith(self.suffix)):
            return None
        return len(self.prefix), len(tag) - len(self.suffix)


class Stem(NamedTuple):
    """What habits of writing leave of a tag."""

    start: int
    stop: int
    rules: tuple[str, ...] = ()
    """The habits, the outermost first."""
    confidence: float = 1.0
    """Product of theirs."""


LEMMA, PLURAL, IRREGULAR = "lemma", "plural", "irregular plural"
NOUN_RULES = frozenset((LEMMA, PLURAL, IRREGULAR))
"""Rules by which the whole tag is the noun."""
NUMBERED = "number"
HEAD_NOUN = "head noun"
THEN = " + "
HEAD_CONFIDENCE = 0.7

PLURALS = (
    ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("ses", "s"), ("xes", "x"), ("zes", "z"),
    ("ves", "f"), ("ies", "y"), ("men", "man"), ("s", ""), ("es", ""),
)  # fmt: skip
"""Endings of regular plurals and what they stand for: WordNet's own rules, and -es."""
_PLURAL_ENDINGS = tuple(ending for ending, _ in PLURALS)

AFFIXES = (
    Affix("", "ofinstagram", 0.9), Affix("", "sofig", 0.85), Affix("", "ofig", 0.85),
    Affix("", "oftheday", 0.85), Affix("", "oftheworld", 0.8),
    Affix("", "photography", 0.8), Affix("", "photos", 0.8), Affix("", "pics", 0.8),
    Affix("", "photo", 0.8), Affix("", "pic", 0.8),
    Affix("", "stagram", 0.8), Affix("", "sagram", 0.8), Affix("", "agram", 0.75),
    Affix("", "gram", 0.75), Affix("", "porn", 0.75), Affix("", "spotting", 0.75),
    Affix("", "lovers", 0.75), Affix("", "lover", 0.75), Affix("", "love", 0.7),
    Affix("", "lifestyle", 0.6), Affix("", "life", 0.65), Affix("", "time", 0.65),
    Affix("", "inspiration", 0.7), Affix("", "inspo", 0.7), Affix("", "goals", 0.6),
    Affix("", "ideas", 0.7), Affix("", "gasm", 0.7), Affix("", "aholic", 0.65),
    Affix("", "community", 0.65), Affix("", "society", 0.6), Affix("", "nation", 0.6),
    Affix("", "world", 0.65), Affix("", "fans", 0.65), Affix("", "fan", 0.65),
    Affix("", "feed", 0.7), Affix("", "shots", 0.75), Affix("", "blog", 0.65),
    Affix("", "addict", 0.7), Affix("", "daily", 0.7),
    Affix("", "day", 0.5),
    Affix("instagram", "", 0.75), Affix("insta", "", 0.8), Affix("ilovemy", "", 0.8),
    Affix("ilove", "", 0.7), Affix("love", "", 0.6), Affix("my", "", 0.7), Affix("daily", "", 0.7),
)  # fmt: skip
"""The habits, tried in this order. To teach another one, add a line."""
_PREFIXES = tuple(affix.prefix for affix in AFFIXES if affix.prefix)
_SUFFIXES = tuple(affix.suffix for affix in AFFIXES if affix.suffix)
_DIGITS = "0123456789"


def matches(tag: str, lexicon: Lexicon, words: Sequence[str] = ()) -> list[Match]:
    """The nouns that a normalised tag can be, the likeliest first; empty when it is none.

    The tag as a whole and its singulars come first (`eyes` is a lemma, an opinion, and the plural
    of `eye`); only where they give nothing, what affixes and numbers leave of it, without one, then
    without two (`instadog2019`); and last, when that is several words, the noun that they end in
    (`reddress2019`).

    Args:
        tag: the normalised tag.
        lexicon: the nouns.
        words: the words that it is written of, normalised; none where it is not split.
    """
    if len(tag) > MAX_LENGTH:
        return []
    if whole := list(_as_noun(tag, lexicon)):
        return whole
    for stem in stems(tag)[1:]:
        if inner := list(_as_noun(tag[stem.start : stem.stop], lexicon)):
            rule = THEN.join(stem.rules)
            return [Match(m.form, rule, stem.confidence * m.confidence) for m in inner]
    return _head_nouns(words, lexicon)


def stems(tag: str) -> list[Stem]:
    """The whole tag, then what is left of it without a habit of writing, then without two."""
    found = [Stem(0, len(tag))]
    seen = {(0, len(tag))}
    for stem in found:  # which grows meanwhile: what is left may have another habit
        for rule, confidence, start, stop in _habits(tag[stem.start : stem.stop]):
            place = stem.start + start, stem.start + stop
            if stop - start >= MIN_STEM and place not in seen:
                seen.add(place)
                found.append(Stem(*place, (*stem.rules, rule), stem.confidence * confidence))
    return found


def _habits(tag: str) -> Iterator[tuple[str, float, int, int]]:
    """Rule, confidence, and where what it leaves begins and ends, of every habit of a tag."""
    if tag.startswith(_PREFIXES) or tag.endswith(_SUFFIXES):
        for affix in AFFIXES:
            if left := affix.left(tag):
                yield affix.rule, affix.confidence, *left
    start, stop = len(tag) - len(tag.lstrip(_DIGITS)), len(tag.rstrip(_DIGITS))
    if (start, stop) != (0, len(tag)):
        yield NUMBERED, 0.8, start, stop


def _head_nouns(words: Sequence[str], lexicon: Lexicon) -> list[Match]:
    """What the words end in without habits, and if that is nothing, what all of them end in.

    A habit is no head: #bluemountainphotography is about a mountain.
    """
    number = {place: index for index, place in enumerate(accumulate(map(len, words), initial=0))}
    whole, *others = stems("".join(words))
    for stem in (*others, whole):
        if stem.start in number and stem.stop in number:
            for ending in endings(words[number[stem.start] : number[stem.stop]]):
                found = [] if ending in _SUFFIXES else list(_as_noun(ending, lexicon))
                if found:
                    rule = THEN.join((*stem.rules, HEAD_NOUN))
                    belief = HEAD_CONFIDENCE * stem.confidence
                    return [Match(m.form, rule, belief * m.confidence) for m in found]
    return []


def _as_noun(tag: str, lexicon: Lexicon) -> Iterator[Match]:
    if tag in lexicon.forms:
        yield Match(tag, LEMMA, 1.0)
    for singular in lexicon.exceptions.get(tag, []):
        if singular in lexicon.forms:
            yield Match(singular, IRREGULAR, 0.95)
    for singular in _singulars(tag):
        if singular in lexicon.forms:
            yield Match(singular, PLURAL, 0.95)
    plain = without_diacritics(tag)
    if plain != tag:
        for inner in _as_noun(plain, lexicon):
            yield Match(inner.form, "without diacritics", 0.9 * inner.confidence)


def _singulars(tag: str) -> Iterator[str]:
    if not tag.endswith(_PLURAL_ENDINGS):
        return
    for ending, replacement in PLURALS:
        singular = tag.removesuffix(ending) + replacement
        if tag.endswith(ending) and len(singular) >= MIN_STEM:
            yield singular
