"""The likeliest words of letters written together, for many texts at a time.

A bigram model's best path by dynamic programming (Norvig 2009, "Natural Language Corpus Data", in
Beautiful Data), for all texts in step: first every known word at every place of them, then every
two that follow each other and are known as a pair, and last the cheapest way to each place, the
first places of all texts together, then the second ones.

Texts lie behind one another in one array of letters. A text of n letters has n + 1 places, from its
beginning to its end, which are numbered through all texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hashnext.hashtags.costs import Costs, hash_more, hash_pair
from hashnext.hashtags.view import spans

MAX_WORD = 20
"""Letters of the longest word looked for."""
UNKNOWN = 5.0
"""-log10 of the share of unknown words among all words; each of their letters costs 1 more."""
PER_WORD = 0.5
"""What each further word costs, in -log10: few words are likelier than many."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts as arrays."""

    letters: NDArray[np.uint64]
    """Code points, (L,)."""
    lengths: Ints
    """Letters of each text, (n,)."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Texts":
        """The letters of some texts."""
        letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        return cls(letters.astype(np.uint64), lengths)

    @property
    def first(self) -> Ints:
        """Place at which each text begins, (n,)."""
        return np.cumsum(self.lengths + 1) - self.lengths - 1

    def of_letters(self) -> tuple[Ints, Ints]:
        """Of each letter the place before it and the end of its text, (L,) both."""
        text = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return np.arange(len(self.letters)) + text, (self.first + self.lengths)[text]


@dataclass(frozen=True, eq=False)
class Found:
    """Known words in the texts, (m,) each, by their end, then by their beginning."""

    begin: Ints
    """Place before the word."""
    end: Ints
    """Place behind it."""
    key: NDArray[np.uint64]
    """Hash of the word."""
    cost: Floats
    """Of the word by itself."""

    @classmethod
    def search(cls, texts: Texts, words: Costs) -> "Found":
        """All words of up to `MAX_WORD` letters."""
        places, stops = texts.of_letters()
        at, key = np.arange(len(places)), np.zeros(len(places), np.uint64)
        parts = []
        for length in range(1, MAX_WORD + 1):
            going = np.flatnonzero(places[at] + length <= stops[at])
            at = at[going]
            key = hash_more(key[going], texts.letters[at + length - 1])
            which, cost = words.find(key)
            parts.append((places[at[which]], places[at[which]] + length, key[which], cost))
        begin, end, keys, costs = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.lexsort((begin, end))
        return cls(begin[order], end[order], keys[order], costs[order])


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two words of `Found`, one behind the other, that are known as a pair; (p,) each."""

    one: Ints
    other: Ints
    """Ascending in the other, then in the one."""
    cost: Floats
    """Of the other behind the one."""

    @classmethod
    def search(cls, found: Found, pairs: Costs) -> "Pairs":
        """All known pairs of words found."""
        starts = np.searchsorted(found.end, found.begin, "left")
        stops = np.searchsorted(found.end, found.begin, "right")
        ones = spans(starts, stops)
        others = np.repeat(np.arange(len(starts)), stops - starts)
        which, cost = pairs.find(hash_pair(found.key[ones], found.key[others]))
        return cls(ones[which], others[which], cost)


class Ways:
    """The cheapest way to every place of the texts, and to every word found in them."""

    def __init__(self, texts: Texts, found: Found, pairs: Pairs) -> None:
        self.texts, self.found, self.pairs = texts, found, pairs
        size = int((texts.lengths + 1).sum())
        self.cost = np.zeros(size)  # of the best way to a place
        self.last = np.full(size, -1)  # the word it ends in, or -1 for an unknown one
        self.unknown = np.zeros(size, np.int64)  # where such an unknown word begins
        self.word_cost = np.zeros(len(found.cost))
        self.before = np.full(len(found.cost), -1)  # the word before, or -1 for the best way
        self._run()

    def _run(self) -> None:
        first = self.texts.first
        place_of = np.arange(len(self.cost)) - np.repeat(first, self.texts.lengths + 1)
        begins = _Groups(place_of[self.found.begin])
        follows = _Groups(place_of[self.found.begin[self.pairs.other]])
        ends = _Groups(place_of[self.found.end])
        start = first.copy()  # where an unknown word begins best in each text
        for place in range(1, int(self.texts.lengths.max(initial=0)) + 1):
            self._reach_words(begins[place - 1], follows[place - 1])
            longer = np.flatnonzero(self.texts.lengths >= place)
            here = first[longer] + place
            self._reach_unknown(here, start[longer])
            self._reach_known(ends[place])
            gain = self.cost[here] - here < self.cost[start[longer]] - start[longer]
            start[longer[gain]] = here[gain]

    def _reach_words(self, words: Ints, pairs: Ints) -> None:
        """The ways to the words that begin at a place, those behind a word they go with first."""
        self.word_cost[words] = self.cost[self.found.begin[words]] + self.found.cost[words]
        ones, others = self.pairs.one[pairs], self.pairs.other[pairs]
        costs = self.word_cost[ones] + self.pairs.cost[pairs]
        cheapest = _first_least(others, costs)
        better = cheapest[costs[cheapest] < self.word_cost[others[cheapest]]]
        self.word_cost[others[better]] = costs[better]
        self.before[others[better]] = ones[better]
        self.word_cost[words] += PER_WORD

    def _reach_unknown(self, here: Ints, start: Ints) -> None:
        self.cost[here] = self.cost[start] + UNKNOWN + (here - start) + PER_WORD
        self.unknown[here] = start

    def _reach_known(self, words: Ints) -> None:
        ends, costs = self.found.end[words], self.word_cost[words]
        cheapest = _first_least(ends, costs)
        better = cheapest[costs[cheapest] <= self.cost[ends[cheapest]]]
        self.cost[ends[better]], self.last[ends[better]] = costs[better], words[better]

    def cuts(self) -> list[list[int]]:
        """Of each text where its words begin and end, ascending, counted in letters."""
        last, unknown, before = self.last.tolist(), self.unknown.tolist(), self.before.tolist()
        begin = self.found.begin.tolist()
        first, ends = self.texts.first.tolist(), (self.texts.first + self.texts.lengths).tolist()

        def back(start: int, place: int) -> Iterator[int]:
            word = -1
            while place > start:
                yield place - start
                word = last[place] if word < 0 else word
                place, word = (unknown[place], -1) if word < 0 else (begin[word], before[word])
            yield 0

        return [[*back(start, end)][::-1] for start, end in zip(first, ends, strict=True)]


class _Groups:
    """The numbers of an array's elements by their value."""

    def __init__(self, values: Ints) -> None:
        self.order = np.argsort(values, kind="stable")
        self.starts = np.searchsorted(values[self.order], np.arange(values.max(initial=0) + 2))

    def __getitem__(self, value: int) -> Ints:
        if value + 1 >= len(self.starts):
            return self.order[:0]
        return self.order[self.starts[value] : self.starts[value + 1]]


def _first_least(groups: Ints, costs: Floats) -> Ints:
    """The first of the least costs of each group, as numbers of the arrays' elements."""
    order = np.lexsort((costs, groups))
    return order[np.flatnonzero(np.diff(groups[order], prepend=-1))]


def segment(texts: Sequence[str], words: Costs, pairs: Costs) -> list[list[str]]:
    """The likeliest words of each text, lower case.

    Args:
        texts: lower-case letters written together.
        words: -log10 of the probability of every known word, by its hash.
        pairs: the same of a word behind another one, by `hash_pair`.
    """
    arrays = Texts.of(texts)
    found = Found.search(arrays, words)
    cuts = Ways(arrays, found, Pairs.search(found, pairs)).cuts()
    return [
        [text[start:end] for start, end in pairwise(at)]
        for text, at in zip(texts, cuts, strict=True)
    ]
