"""What a corpus adds to English where its tags are split into words.

Its own words are the frequent tags that English can make nothing of: it neither knows them nor
takes them apart but into scraps (#selfie, #vsco). #likeforlike is three words, and none of them.
"""

from collections.abc import Mapping
from functools import lru_cache
from heapq import nsmallest

from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags import words
from hashnext.hashtags.compounds import FUNCTION_WORDS, MIN_WORD
from hashnext.hashtags.match import stems
from hashnext.hashtags.normalise import normalised, without_diacritics
from hashnext.hashtags.segment import MAX_WORD
from hashnext.hashtags.words import Words, tells_words

MIN_WORD_POSTS = 20
"""Posts from which a tag can be a word: fewer may be one account's."""
MAX_CANDIDATES = 1_000
"""Tags that are tried as words, those on most posts: some 40 ms of splitting."""


def telling_spellings(written: Mapping[str, int]) -> dict[str, str]:
    """Of each tag the spelling on most posts that tells its words by capitals or underscores."""
    ranked = sorted(filter(tells_words, written), key=lambda raw: (written[raw], raw))
    return {normalised(raw): raw for raw in ranked}


def to_split(text: str) -> tuple[str, ...]:
    """A tag as it is split: as written, and where that has diacritics, without them, too."""
    return tuple(dict.fromkeys((text, without_diacritics(text))))


def may_be_words(posts: Mapping[str, int]) -> tuple[str, ...]:
    """The tags that may be words of their corpus, given the posts of normalised tags."""
    forms = lexicons.load().forms
    frequent = (
        (-n, tag) for tag, n in posts.items()
        if n >= MIN_WORD_POSTS and MIN_WORD < len(tag) <= MAX_WORD
        and tag.isalpha() and tag not in forms and len(stems(tag)) == 1
    )  # fmt: skip
    return tuple(tag for _, tag in nsmallest(MAX_CANDIDATES, frequent))


@lru_cache(1)
def model(candidates: tuple[str, ...]) -> Words:
    """English with the lexicon and those of some tags that are words of their own."""
    english = words.load(lexicons.load().single_words)
    parts = english.split_all(candidates)
    own = [tag for tag, of in zip(candidates, parts, strict=True) if _senseless(of)]
    return english.with_words(own)


def _senseless(parts: list[str]) -> bool:
    """True for a tag that was left whole, and for one with a scrap in it."""
    return len(parts) == 1 or any(
        len(part) < MIN_WORD and part not in FUNCTION_WORDS for part in parts
    )
