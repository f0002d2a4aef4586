"""Eleven tags that must not come out wrong: they are on every second post."""

import pytest

from hashnext.hashtags import lexicon as lexicons
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.reading import Reader
from hashnext.hashtags.senses import choose, weigh

READER = Reader(lexicons.load())


@pytest.mark.parametrize("tag", ["#beach", "#sunset", "#coffee", "#cat", "#mountain"])
def test_kept(tag: str) -> None:
    readings = {normalise(tag): READER.read(normalise(tag))}
    synset = choose(readings, weigh(readings, {}, {}, num_posts=1))[normalise(tag)]
    assert READER.lexicon.name(synset) == normalise(tag)


@pytest.mark.parametrize("tag", ["#love", "#tbt", "#instagood", "#selfie", "#nofilter", "#girl"])
def test_dropped(tag: str) -> None:
    reading = READER.read(normalise(tag))
    assert not reading.shares
    assert reading.reason
