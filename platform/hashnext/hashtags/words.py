"""A hashtag as words: `reddress` as red dress.

The likeliest sequence of words under a bigram model of English, found by dynamic programming
(Norvig 2009, "Natural Language Corpus Data", in Beautiful Data). Counts are those of Google's
trillion-word corpus as the wordsegment package ships them, and nouns of the lexicon and tags of the
corpus that it lacks. What the writer marked is believed: capitals inside, underscores, numbers.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from math import log10
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

CORPUS_WORDS = 1_024_908_267_229.0
"""Words in the corpus that the counts are of."""
MAX_WORD = 20
"""Letters of the longest word looked for."""
BEGINNING = 5
"""Letters by which it is known how long a word can be: most places begin no word longer."""
SHORT = tuple(range(1, BEGINNING))
"""Letters of the words that are looked for everywhere."""
UNKNOWN = 5.0
"""-log10 of the share of unknown words among all words; each of their letters costs 1 more."""
PER_WORD = 0.5
"""What each further word costs, in -log10: few words are likelier than many."""
ADDED = 1e5
"""Count given to a word that the corpus lacks, but the lexicon or the posts have."""
SURE = 1e6
"""Count from which a word between capitals is believed to be one word."""

_Step = tuple[float, str, "_Step | None"]
"""A way to reach a place in the text: its cost, its last word, and the way before that."""

_CAPITALS = re.compile("[a-z][A-Z]")
_MARKED = re.compile(
    r"\d+(?:st|nd|rd|th|s|D)?(?=[A-Z_]|$)|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\dA-Z_]+|[A-Z]+|\d+"
)
_NUMBERED = re.compile(r"\d+(?:st|nd|rd|th|s|d)(?![a-z])|\d+|[^\W\d_]+")


@dataclass(frozen=True, eq=False)
class Words:
    """A bigram model of words, lower case; costs are -log10 of probabilities."""

    costs: Mapping[str, float]
    """Of every known word by itself."""
    costs_after: Mapping[str, Mapping[str, float]]
    """Of a word behind another one: by the word, then by the one before it."""

    def adding(self, words: Iterable[str]) -> "Words":
        """The model with further words."""
        return Words(dict.fromkeys(words, ADDED_COST) | dict(self.costs), self.costs_after)

    @cached_property
    def lengths(self) -> dict[str, tuple[int, ...]]:
        """Of the words that begin with the same `BEGINNING` letters, how many letters they have."""
        words = pa.array(self.costs, pa.string())
        letters = pc.utf8_length(words)
        fits = pc.and_(pc.greater_equal(letters, BEGINNING), pc.less_equal(letters, MAX_WORD))
        beginnings = pc.utf8_slice_codeunits(words.filter(fits), 0, BEGINNING)
        table = pa.table({"beginning": beginnings, "letters": letters.filter(fits)})
        # A set of lengths is a number with a bit for each, of which there are few different ones.
        pairs = table.group_by(["beginning", "letters"], use_threads=False).aggregate([])
        pairs = pairs.set_column(1, "set", pc.shift_left(pa.scalar(1), pairs["letters"]))
        sets = pairs.group_by("beginning", use_threads=False).aggregate([("set", "sum")])
        beginning, found = (sets[name].to_pylist() for name in ("beginning", "set_sum"))
        lengths = {one: _members(one) for one in set(found)}
        return dict(zip(beginning, map(lengths.__getitem__, found), strict=True))

    def split(self, tag: str) -> list[str]:
        """The words of a tag as written, lower case: `season1Episode2` as season 1 episode 2."""
        marked = _CAPITALS.search(tag) is not None
        pieces = _MARKED.findall(tag) if marked else _NUMBERED.findall(tag.lower())
        found: list[str] = []
        for piece in map(str.lower, pieces):
            whole = piece[0].isdigit() or (marked and self.costs.get(piece, UNSURE) < UNSURE)
            found += [piece] if whole else self.segment(piece)
        return found

    def segment(self, text: str) -> list[str]:
        """The likeliest words of lower-case letters written together."""
        best = _START
        found: list[list[_Step]] = [[] for _ in range(len(text) + 1)]  # known words, by their end
        unknown, before = 0, _START  # where an unknown word starts best, wherever it ends
        for start in range(len(text)):
            self._add_words(text, start, best, found)
            end = start + 1
            cost = before[0] + UNKNOWN + (end - unknown) + PER_WORD
            best = min([*found[end], (cost, text[unknown:end], before)], key=_cost)
            if best[0] - end < before[0] - unknown:
                unknown, before = end, best
        return _words(best)

    def _add_words(self, text: str, start: int, best: "_Step", found: list[list["_Step"]]) -> None:
        """The cheapest way to every known word that starts here, after the best way to here."""
        lengths = self.lengths.get(text[start : start + BEGINNING], ())
        for letters in (*SHORT, *lengths):
            end = start + letters
            if end >= len(found):
                break
            word = text[start:end]
            alone = self.costs.get(word)
            if alone is not None:
                before, cost = best, best[0] + alone
                after = self.costs_after.get(word)
                if after:
                    before, cost = _cheaper(before, cost, found[start], after)
                found[end].append((cost + PER_WORD, word, before))


def _cheaper(
    before: "_Step", cost: float, known: list["_Step"], after: Mapping[str, float]
) -> tuple["_Step", float]:
    """The way on to a word from a word that it follows, where that costs less than `cost`."""
    for step in known:
        together = after.get(step[1])
        if together is not None and step[0] + together < cost:
            before, cost = step, step[0] + together
    return before, cost


def _members(numbers: int) -> tuple[int, ...]:
    """The places of the bits of a number, ascending."""
    return tuple(place for place in range(numbers.bit_length()) if numbers >> place & 1)


def _words(step: "_Step | None") -> list[str]:
    """The words of all steps up to this one."""
    found: list[str] = []
    while step and step[2]:
        found.append(step[1])
        step = step[2]
    return found[::-1]


ADDED_COST, UNSURE = (log10(CORPUS_WORDS / count) for count in (ADDED, SURE))
_START: _Step = (0.0, "", None)
_cost = itemgetter(0)


@cache
def load(nouns: frozenset[str] = frozenset()) -> Words:
    """The model of English with further nouns; about a second the first time in a process."""
    if nouns:
        return load().adding(nouns)
    words, counts = _counts("unigrams.txt")
    costs = dict(zip(words.to_pylist(), np.log10(CORPUS_WORDS / counts).tolist(), strict=True))
    pairs, counts = _counts("bigrams.txt")
    firsts, seconds = (pc.list_element(pc.split_pattern(pairs, " "), i).to_pylist() for i in (0, 1))
    logs = np.log10(CORPUS_WORDS / counts).tolist()
    after: dict[str, dict[str, float]] = defaultdict(dict)
    for first, second, cost in zip(firsts, seconds, logs, strict=True):
        after[second][first] = cost - costs.get(first, ADDED_COST)
    return Words(costs, dict(after))


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
