"""Splitting hashtags into words, and the noun that a compound ends in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags import words
from hashnext.hashtags.compounds import endings
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
        ("", []),
        ("🐶", []),
    ],
)
def test_split(tag: str, expected: list[str]) -> None:
    assert ENGLISH.split(tag) == expected


def test_added_words_stay_whole() -> None:
    assert ENGLISH.split("zorblecake") != ["zorble", "cake"]
    assert words.load(frozenset({"zorble"})).split("zorblecake") == ["zorble", "cake"]


@given(st.lists(st.text("abcXYZ019éñЖ猫_#", max_size=20), max_size=5))
def test_tags_do_not_depend_on_each_other(tags: list[str]) -> None:
    assert ENGLISH.split_all(tags) == [ENGLISH.split(tag) for tag in tags]


@given(st.text("abcXYZ019éñЖ猫_#", max_size=40))
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
        (["new", "york", "2019"], ["york2019", "2019"]),
        (["girls", "who", "lift"], []),
        (["follow", "train"], []),
        (["ca", "berg"], []),
        (["dress"], []),
        ([], []),
    ],
)
def test_endings(tag: list[str], expected: list[str]) -> None:
    assert list(endings(tag)) == expected
