"""Splitting hashtags into words, and the noun that a compound ends in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags import splitting, words
from hashnext.hashtags.compounds import endings
from hashnext.hashtags.costs import hash_words
from hashnext.hashtags.normalise import normalise

ENGLISH = words.load()


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("reddress", ["red", "dress"]),
        ("RedDress", ["red", "dress"]),
        ("red_dress", ["red", "dress"]),
        ("NBAHateRank", ["nba", "hate", "rank"]),
        ("season1episode2", ["season", "1", "episode", "2"]),
        ("JobstheFilm", ["jobs", "the", "film"]),
        ("90smusic", ["90", "s", "music"]),
        ("été2013", ["été", "2013"]),
        ("हिन्दी", ["हिन्दी"]),
        ("हिन्दी_कविता", ["हिन्दी", "कविता"]),
        ("cafe\u0301Music", ["café", "music"]),
        ("red🐶dress", ["red", "dress"]),
        ("", []),
        ("🐶", []),
    ],
)
def test_split(tag: str, expected: list[str]) -> None:
    assert ENGLISH.split(tag) == expected


def test_added_words_stay_whole() -> None:
    assert ENGLISH.split("zorblecake") != ["zorble", "cake"]
    assert words.load(frozenset({"zorble"})).split("zorblecake") == ["zorble", "cake"]
    assert ENGLISH.with_words(["zorble", "cake"]).split("zorblecake") == ["zorble", "cake"]


def test_known_words_keep_their_cost() -> None:
    assert np.array_equal(ENGLISH.with_words(["cake"]).words.costs, ENGLISH.words.costs)
    (_, zorble), (_, cake) = (
        ENGLISH.with_words(["zorble"]).words.find(hash_words([word])) for word in ("zorble", "cake")
    )
    assert zorble > cake


def test_words_of_the_corpus() -> None:
    posts = {"vsco": 20, "zorbles": 19, "likeforlike": 99, "dog": 99, "dogsofinstagram": 99}
    assert splitting.may_be_words(posts) == ("likeforlike", "vsco")
    english, ours = splitting.model(()), splitting.model(splitting.may_be_words(posts))
    assert english.split("vscoshoes") != ["vsco", "shoes"]
    assert ours.split("vscoshoes") == ["vsco", "shoes"]
    assert ours.split("likeforlike") == ["like", "for", "like"]


def test_folded_forms_are_split_too() -> None:
    assert splitting.to_split("crèmebrûléecake") == ("crèmebrûléecake", "cremebruleecake")
    assert splitting.to_split("cake") == ("cake",)


@given(st.lists(st.text("abcXYZ019éñЖ猫_#", max_size=20), max_size=5))
def test_tags_do_not_depend_on_each_other(tags: list[str]) -> None:
    assert ENGLISH.split_all(tags) == [ENGLISH.split(tag) for tag in tags]


@given(st.text("abcXYZ019éñЖ猫हिन्दी\u0301_#", max_size=40))
def test_no_letter_is_lost(tag: str) -> None:
    found = ENGLISH.split(tag)
    assert all(found)
    assert normalise("".join(found)) == normalise(tag)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (["red", "dress"], ["dress"]),
        (["my", "red", "dress"], ["reddress", "dress"]),
        (["the", "beach"], ["beach"]),
        (["new", "york", "2019"], ["york"]),
        (["red", "dress", "21", "2nd"], ["dress"]),
        (["1", "2"], []),
        (["girls", "who", "lift"], []),
        (["follow", "train"], []),
        (["ca", "berg"], []),
        (["dress"], []),
        ([], []),
    ],
)
def test_endings(tag: list[str], expected: list[str]) -> None:
    assert list(endings(tag)) == expected
