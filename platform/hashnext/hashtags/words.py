"""A hashtag as words: `reddress` as red dress.

The likeliest sequence of words under a bigram model of English (`hashtags.segment`). Counts are
those of Google's trillion-word corpus as the wordsegment package ships them, and words that it
lacks: nouns of the lexicon, tags of the corpus (`hashtags.splitting`). What the writer marked is
believed: capitals inside, underscores, numbers.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain, islice
from math import log10

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from hashnext.hashtags.costs import Costs, hash_pair, hash_words
from hashnext.hashtags.segment import segment

CORPUS_WORDS = 1_024_908_267_229.0
"""Words in the corpus that the counts are of."""
ADDED = 1e5
"""Count given to a word that the corpus lacks, but the lexicon or the posts have."""
SURE = 1e6
"""Count from which a word between capitals is believed to be one word."""
BATCH = 4_000
"""Tags that are split at a time: some 50 MB of arrays."""
YOUNGER = frozenset({"instagram"})
"""Words of habits (`match.AFFIXES`) that are younger than the counts."""

_CAPITALS = re.compile("[a-z][A-Z]")
_TELLING = re.compile(r"[a-z][A-Z]|[^\W_]_+[^\W_]")
_MARKED = re.compile(
    r"\d+(?:st|nd|rd|th|s|D)?(?=[A-Z_]|$)|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\dA-Z_]+|[A-Z]+|\d+"
)
_NUMBERED = re.compile(r"\d+(?:st|nd|rd|th|s|d)(?![a-z])|\d+|[^\d_]+")


@dataclass(frozen=True, eq=False)
class Words:
    """A bigram model of words, lower case; costs are -log10 of probabilities."""

    words: Costs
    """Of every known word by itself, by `hash_words`."""
    pairs: Costs
    """Of a word behind another one, by `hash_pair`."""

    def with_words(self, added: Sequence[str]) -> "Words":
        """The model with further words; those that it knows keep their cost."""
        return Words(self.words.with_keys(hash_words(added), ADDED_COST), self.pairs)

    def split(self, tag: str) -> list[str]:
        """The words of a tag as written, lower case: `season1Episode2` as season 1 episode 2."""
        return self.split_all([tag])[0]

    def split_all(self, tags: Sequence[str]) -> list[list[str]]:
        """The same of many tags, each in a small part of the time."""
        starts = range(0, len(tags), BATCH)
        return [words for start in starts for words in self._split(tags[start : start + BATCH])]

    def _split(self, tags: Sequence[str]) -> list[list[str]]:
        marked = [_CAPITALS.search(tag) is not None for tag in tags]
        pieces = [_pieces(tag, capitals) for tag, capitals in zip(tags, marked, strict=True)]
        lengths = [len(of) for of in pieces]
        flat = [*chain.from_iterable(pieces)]
        loose = np.flatnonzero(~self._whole(flat, np.repeat(marked, lengths)))
        words = [[piece] for piece in flat]
        found = segment([flat[number] for number in loose], self.words, self.pairs)
        for number, segments in zip(loose, found, strict=True):
            words[number] = segments
        rest = iter(words)
        return [[*chain.from_iterable(islice(rest, length))] for length in lengths]

    def _whole(self, pieces: Sequence[str], marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which pieces (n,) are one word: numbers, and of those between capitals known words."""
        places, costs = self.words.find(hash_words(pieces))
        sure = np.zeros(len(pieces), np.bool_)
        sure[places] = costs < UNSURE
        digits = np.array([piece[0].isdigit() for piece in pieces], np.bool_)
        return digits | (sure & marked)


def tells_words(tag: str) -> bool:
    """True for a tag whose writer set words apart by a capital inside or an underscore."""
    return _TELLING.search(tag) is not None


def _pieces(tag: str, marked: bool) -> list[str]:
    """What the writer set apart by capitals, underscores and numbers, lower case."""
    text = tag if tag.isalnum() else "".join(map(_letter, unicodedata.normalize("NFC", tag)))
    found = _MARKED.findall(text) if marked else _NUMBERED.findall(text.lower())
    return [*map(str.lower, found)]


def _letter(char: str) -> str:
    """Letters, marks and numbers as they are, nothing for what is invisible, else `_`."""
    category = unicodedata.category(char)
    return char if category[0] in "LMN" else "" if category == "Cf" else "_"


ADDED_COST, UNSURE = (log10(CORPUS_WORDS / count) for count in (ADDED, SURE))


@cache
def load(nouns: frozenset[str] = frozenset()) -> Words:
    """The model of English with further nouns; some tenths of a second the first time."""
    texts, counts = _counts("unigrams.txt")
    added = nouns | YOUNGER
    keys = hash_words([*added, *texts.to_pylist()])
    costs = np.concatenate([np.full(len(added), ADDED_COST), np.log10(CORPUS_WORDS / counts)])
    words = Costs.of(keys, costs)
    return Words(words, _load_pairs(words))


def _load_pairs(words: Costs) -> Costs:
    """Costs of words behind others, given those of words by themselves."""
    texts, counts = _counts("bigrams.txt")
    parts = pc.list_flatten(pc.split_pattern(texts, " ")).combine_chunks().dictionary_encode()
    keys = hash_words(parts.dictionary.to_pylist())[parts.indices.to_numpy()]
    ones, others = keys[::2], keys[1::2]
    alone = np.full(len(ones), ADDED_COST)
    known, costs = words.find(ones)
    alone[known] = costs
    return Costs.of(hash_pair(ones, others), np.log10(CORPUS_WORDS / counts) - alone)


def _counts(name: str) -> tuple[pa.ChunkedArray, NDArray[np.float64]]:
    """What a file of the wordsegment package counts, and how often."""
    data = resources.files("wordsegment").joinpath(name).read_bytes()
    table = csv.read_csv(
        pa.BufferReader(data),
        csv.ReadOptions(column_names=["what", "count"]),
        csv.ParseOptions(delimiter="\t", quote_char=False),
        csv.ConvertOptions(column_types={"what": pa.string(), "count": pa.float64()}),
    )
    return table["what"], table["count"].to_numpy()
