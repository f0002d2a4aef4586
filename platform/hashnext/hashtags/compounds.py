"""A tag of several words as a compound noun: `red dress` is a dress.

The last words of an English compound say what it is (Booij 2005, The Grammar of Words, chapter 4).
Sentences and calls to do something are no compounds, and a tag with a scrap of one or two letters
in it was split at random.
"""

from collections.abc import Iterator, Sequence

MIN_WORD = 3
"""Letters of each word of a compound."""

DETERMINERS = frozenset(("a", "an", "the", "my", "our", "your", "his", "her", "their", "this", "i"))
"""Function words that may stand first: #thebeach."""

FUNCTION_WORDS = DETERMINERS | frozenset((
    "and", "are", "as", "at", "be", "but", "by", "can", "do", "dont", "for", "from", "go", "has",
    "have", "he", "him", "how", "if", "in", "is", "it", "its", "like", "me", "no", "not", "of",
    "off", "on", "or", "our", "out", "so", "than", "that", "them", "they", "to", "up", "us", "was",
    "we", "who", "with", "without", "you",
))  # fmt: skip
"""Words of a sentence: #girlswholift is none of a lift."""

CALLS = frozenset((
    "add", "check", "follow", "followme", "like", "likes", "not", "repost", "save", "share", "stop",
    "tag", "visit",
))  # fmt: skip
"""First words of a call to do something: #followtrain."""


def endings(words: Sequence[str]) -> Iterator[str]:
    """What a tag of these words (lower case) can be a kind of, the longest first, written together.

    Numbers behind the last word are left out. Empty when the words are no compound.
    """
    words = words[: max((n for n, word in enumerate(words, 1) if not word[0].isdigit()), default=0)]
    named = words[1:] if words and words[0] in DETERMINERS else words
    if len(words) < 2 or words[0] in CALLS or FUNCTION_WORDS.intersection(named):
        return
    if all(len(word) >= MIN_WORD or word.isdigit() for word in named):
        for start in range(1, len(words)):
            yield "".join(words[start:])
