"""What a hashtag is, and the one form in which all its spellings meet.

A hashtag is `#` (or the full-width `＃`) followed by letters, marks, digits, underscores and
zero-width joiners of any script, with at least one letter among them; it starts where no letter,
digit, `_`, `/` or `&` stands before the `#`, or right behind another hashtag (`#cat#dog`).
"""

import re
import unicodedata
from functools import lru_cache
from itertools import takewhile

_HASH = re.compile("[#＃]")
_JOINERS = "\u200c\u200d"  # words of Persian and of Indic scripts hold them
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def normalise(tag: str) -> str:
    """The key under which spellings of a tag are the same: letters, accents and digits only.

    `#`, case, width, underscores, punctuation, emoji and invisible characters go; diacritics and
    digits stay. Unicode's NFKC_Casefold, then what is no letter, mark or number is removed.

    Returns:
        the normalised tag, possibly empty; `normalise(normalise(t)) == normalise(t)`.
    """
    if tag.isascii():
        lower = tag.lower()
        return lower if lower.isalnum() else "".join(filter(str.isalnum, lower))
    while (folded := _fold(tag)) != tag:  # removing a joiner can bring a letter and a mark together
        tag = folded
    return tag


normalised = lru_cache(1 << 18)(normalise)
"""`normalise` that remembers: the same tags come again and again."""


def without_diacritics(normalised: str) -> str:
    """The tag with its combining marks removed: `café` as `cafe`."""
    if normalised.isascii():
        return normalised
    decomposed = unicodedata.normalize("NFD", normalised)
    kept = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    return unicodedata.normalize("NFC", kept)


def extract_hashtags(caption: str) -> list[str]:
    """The hashtags of a caption in their order, as written, without their `#`."""
    found: list[str] = []
    before, *pieces = _HASH.split(caption)
    glued = False
    for piece in pieces:
        body = "".join(takewhile(_belongs, piece))
        starts = glued or not (before and (_belongs(before[-1]) or before[-1] in "/&"))
        is_hashtag = starts and any(char.isalpha() for char in body)
        if is_hashtag:
            found.append(body)
        glued = is_hashtag and len(body) == len(piece)
        before = piece
    return found


def _fold(tag: str) -> str:
    text = unicodedata.normalize("NFD", tag).casefold()
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _VARIATION_SELECTORS.sub("", unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFC", "".join(filter(_is_kept, text)))


def _is_kept(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LN" or category in ("Mn", "Mc")


def _belongs(char: str) -> bool:
    return char == "_" or char in _JOINERS or unicodedata.category(char)[0] in "LMN"
