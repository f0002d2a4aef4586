"""The likeliest words of a text against a search of all ways to cut it."""

from collections.abc import Iterator
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashnext.hashtags.costs import Costs, hash_pair, hash_words
from hashnext.hashtags.segment import PER_WORD, UNKNOWN, segment

SINGLE = {"a": 4.0, "b": 6.5, "ab": 5.0, "ba": 7.0, "aba": 9.0, "é": 3.0, "bé": 12.0}
DOUBLE = {("a", "b"): 1.0, ("b", "a"): 0.5, ("ab", "a"): 0.25, ("é", "ba"): 2.0, ("a", "ab"): 8.0}
TEXTS = st.text("abéz", min_size=1, max_size=7)


def cost(words: tuple[str, ...]) -> float:
    """Of the cheapest reading of the words as known and unknown ones."""
    return min(_read(words, known) for known in product((True, False), repeat=len(words)))


def _read(words: tuple[str, ...], known: tuple[bool, ...]) -> float:
    total = 0.0
    for place, (word, is_known) in enumerate(zip(words, known, strict=True)):
        alone = SINGLE.get(word, np.inf) if is_known else UNKNOWN + len(word)
        behind = place > 0 and is_known and known[place - 1]
        pair = DOUBLE.get((words[place - 1], word), np.inf) if behind else np.inf
        total += min(alone, pair) + PER_WORD
    return total


def every_cut(text: str) -> Iterator[tuple[str, ...]]:
    for count in range(len(text)):
        for cuts in combinations(range(1, len(text)), count):
            yield tuple(text[a:b] for a, b in pairwise((0, *cuts, len(text))))


@given(st.lists(TEXTS, max_size=4))
def test_no_cut_is_cheaper(texts: list[str]) -> None:
    words = Costs.of(hash_words([*SINGLE]), np.array([*SINGLE.values()]))
    ones, others = (hash_words([pair[end] for pair in DOUBLE]) for end in (0, 1))
    pairs = Costs.of(hash_pair(ones, others), np.array([*DOUBLE.values()]))
    for text, found in zip(texts, segment(texts, words, pairs), strict=True):
        assert "".join(found) == text
        assert cost(tuple(found)) == pytest.approx(min(map(cost, every_cut(text))))


@example(["", "\0"])
@given(st.lists(st.text(), unique=True))
def test_costs_are_found_by_hash(words: list[str]) -> None:
    inside, outside = words[::2], words[1::2]
    costs = Costs.of(hash_words(inside), np.arange(len(inside)) + 0.5)
    places, found = costs.find(hash_words([*outside, *inside]))
    assert places.tolist() == [len(outside) + i for i in range(len(inside))]
    assert found.tolist() == [i + 0.5 for i in range(len(inside))]


def test_of_equal_words_the_last_one_holds() -> None:
    costs = Costs.of(hash_words(["red", "dress", "red"]), np.array([1.0, 2.0, 3.0]))
    assert costs.find(hash_words(["red"]))[1].tolist() == [3.0]
