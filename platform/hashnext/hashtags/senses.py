"""What a noun means in a corpus: one of its candidate senses, chosen by the company it keeps.

A noun has one sense for the whole corpus, whichever way it is tagged (#slug, #slugs), but that a
compound takes no unusual name of a thing (`reading.UNUSUAL`). Among several candidates the noun's
share of use speaks, and the company: posts that carry the tag together with a name of the sense, of
a hypernym or of a hyponym of it, beyond what chance gives.
"""

from collections import defaultdict
from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.reading import Reading

COMPANY_WEIGHT = 4.0
"""Weight of the company against the sense's share of use."""
MIN_SIGMA = 2.0
"""Standard deviations above chance from which two tags keep company."""

Company = dict[str, dict[int, set[str]]]
"""For each ambiguous tag and each of its candidates, the tags that speak for it."""


def company(readings: Mapping[str, Reading], lexicon: Lexicon) -> Company:
    """The tags whose presence speaks for one candidate of an ambiguous tag, by kinship of nouns."""
    synsets = {synset for reading in readings.values() for synset in reading.shares}
    above = {synset: {synset, *lexicon.ancestors(synset)} for synset in synsets}
    naming: dict[int, set[str]] = defaultdict(set)
    below: dict[int, set[str]] = defaultdict(set)
    for tag, reading in readings.items():
        for synset in reading.shares:
            naming[synset].add(tag)
            for parent in above[synset]:
                below[parent].add(tag)
    found: Company = {}
    for tag, reading in readings.items():
        if len(reading.shares) > 1:
            kin = {
                synset: below[synset].union(*(naming[parent] for parent in above[synset]))
                for synset in reading.shares
            }
            found[tag] = _telling(kin)
    return found


def _telling(kin: dict[int, set[str]]) -> dict[int, set[str]]:
    """Without the tags that speak for every candidate alike, such as the tag itself."""
    shared = set.intersection(*kin.values())
    return {synset: tags - shared for synset, tags in kin.items()}


class Score(NamedTuple):
    """What speaks for a sense."""

    share: float
    """Of the noun's use, in [0, 1]."""
    company: float
    """How much more than chance its kin stand beside the tag: posts with each kin tag beyond what
    chance gives, where that is significant, summed, as a share of the tag's posts; or, where those
    of all senses add up to more posts than the tag has, as a share of that sum. In [0, 1]. One
    post that chance did not give speaks, too, but only as one of the tag's posts."""

    @property
    def total(self) -> float:
        """What the senses are ranked by."""
        return self.share + COMPANY_WEIGHT * self.company


Scores = dict[str, dict[int, Score]]
"""Of every noun and each of its candidates."""


def weigh(
    readings: Mapping[str, Reading],
    kin: Company,
    together: Mapping[tuple[str, str], int],
    num_posts: int,
) -> Scores:
    """Score the candidates of every noun, over all tags that hold it.

    Args:
        readings: what each tag can mean.
        kin: who speaks for which sense.
        together: posts that carry both tags, for the pairs of `kin`; (tag, tag) is the tag's own.
        num_posts: posts in all; without any nothing keeps company.
    """
    found: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    own: dict[str, int] = defaultdict(int)
    for tag, by_sense in sorted(kin.items()):
        noun, posts = readings[tag].noun, together.get((tag, tag), 0)
        own[noun] += posts
        for synset, others in by_sense.items():
            found[noun][synset] += sum(
                _beyond_chance(together.get((tag, other), 0),
                               posts * together.get((other, other), 0) / max(num_posts, 1))
                for other in sorted(others)
            )  # fmt: skip
    candidates = _candidates(readings)
    whole = {noun: max(own[noun], 1, sum(found[noun].values())) for noun in candidates}
    return {
        noun: {
            synset: Score(share, found[noun][synset] / whole[noun])
            for synset, share in shares.items()
        }
        for noun, shares in candidates.items()
    }


def _candidates(readings: Mapping[str, Reading]) -> dict[str, dict[int, float]]:
    """The senses of each noun that some tag with it can have: `cranes` more than `towercrane`."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for reading in readings.values():
        if reading.shares:
            found[reading.noun].update(reading.shares)
    return found


def _beyond_chance(posts: int, expected: float) -> float:
    """Posts above what chance gives, where they are too many to be chance."""
    excess = posts - expected
    return excess if excess > MIN_SIGMA * sqrt(expected) else 0.0


def choose(readings: Mapping[str, Reading], scores: Scores) -> dict[str, int]:
    """The best of the candidates of every tag that has some, the first of equals."""
    return {
        tag: max(reading.shares, key=lambda synset: scores[reading.noun][synset].total)
        for tag, reading in readings.items() if reading.shares
    }  # fmt: skip
