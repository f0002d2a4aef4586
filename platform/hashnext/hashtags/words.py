"""A hashtag as words: `reddress` as red dress.

The likeliest sequence of words under a bigram model of English, found by dynamic programming
(Norvig 2009, "Natural Language Corpus Data", in Beautiful Data). Counts are those of Google's
trillion-word corpus as the wordsegment package ships them, and nouns of the lexicon and tags of the
corpus that it lacks. What the writer marked is believed: capitals inside, underscores, numbers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import log10
from operator import itemgetter
from typing import NamedTuple

CORPUS_WORDS = 1_024_908_267_229.0
"""Words in the corpus that the counts are of."""
MAX_WORD = 20
"""Letters of the longest word looked for."""
UNKNOWN = 5.0
"""-log10 of the share of unknown words among all words; each of their letters costs 1 more."""
PER_WORD = 0.5
"""What each further word costs, in -log10: few words are likelier than many."""
ADDED = 1e5
"""Count given to a word that the corpus lacks, but the lexicon or the posts have."""
SURE = 1e6
"""Count from which a word between capitals is believed to be one word."""

_CAPITALS = re.compile("[a-z][A-Z]")
_MARKED = re.compile(
    r"\d+(?:st|nd|rd|th|s|D)?(?=[A-Z_]|$)|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\dA-Z_]+|[A-Z]+|\d+"
)
_NUMBERED = re.compile(r"\d+(?:st|nd|rd|th|s|d)(?![a-z])|\d+|[^\W\d_]+")


@dataclass(frozen=True)
class Words:
    """A bigram model of words, lower case."""

    counts: Mapping[str, float]
    pairs: Mapping[str, float]
    """Counts of `first second`."""

    def adding(self, words: Iterable[str]) -> "Words":
        """The model with further words."""
        return Words(dict.fromkeys(words, ADDED) | dict(self.counts), self.pairs)

    def split(self, tag: str) -> list[str]:
        """The words of a tag as written, lower case: `season1Episode2` as season 1 episode 2."""
        marked = _CAPITALS.search(tag) is not None
        pieces = _MARKED.findall(tag) if marked else _NUMBERED.findall(tag.lower())
        found: list[str] = []
        for piece in map(str.lower, pieces):
            whole = piece[0].isdigit() or (marked and self.counts.get(piece, 0) > SURE)
            found += [piece] if whole else self.segment(piece)
        return found

    def segment(self, text: str) -> list[str]:
        """The likeliest words of lower-case letters written together."""
        best: list[_Step] = [_START]
        known: list[list[_Step]] = [[]]
        unknown = 0  # where an unknown word starts best, wherever it ends
        for end in range(1, len(text) + 1):
            steps = self._known_steps(text, end, best, known)
            letters, before = end - unknown, best[unknown]
            cost = before.cost + UNKNOWN + letters + PER_WORD
            best.append(min([*steps, _Step(cost, text[unknown:end], before)], key=_cost))
            known.append(steps)
            if best[end].cost - end < best[unknown].cost - unknown:
                unknown = end
        return best[-1].words()

    def _known_steps(
        self, text: str, end: int, best: list["_Step"], known: list[list["_Step"]]
    ) -> list["_Step"]:
        """The cheapest way to every known word that ends here."""
        steps = []
        for start in range(max(0, end - MAX_WORD), end):
            word = text[start:end]
            if count := self.counts.get(word):
                steps.append(self._step(best[start], known[start], word, count))
        return steps

    def _step(self, best: "_Step", known: list["_Step"], word: str, count: float) -> "_Step":
        """The cheapest way on to a word: from the cheapest way here, or from a word it follows."""
        cost = best.cost + log10(CORPUS_WORDS / count)
        for step in known:
            together = self.pairs.get(f"{step.word} {word}")
            if together:
                after = step.cost + log10(self.counts[step.word] / together)
                if after < cost:
                    best, cost = step, after
        return _Step(cost + PER_WORD, word, best)


class _Step(NamedTuple):
    """A way to reach a place in the text: its cost, its last word, and the way before that."""

    cost: float
    word: str
    before: "_Step | None"

    def words(self) -> list[str]:
        found: list[str] = []
        step: _Step | None = self
        while step and step.before:
            found.append(step.word)
            step = step.before
        return found[::-1]


_START = _Step(0.0, "", None)
_cost = itemgetter(0)


@cache
def load() -> Words:
    """The model of English; about a second the first time in a process."""
    import wordsegment

    wordsegment.load()
    return Words(wordsegment.UNIGRAMS, wordsegment.BIGRAMS)
