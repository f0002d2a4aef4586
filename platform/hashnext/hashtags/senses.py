"""What a noun means in a corpus: one of its candidate senses, chosen by the company it keeps.

A noun has one sense for the whole corpus, whichever way it is tagged (#slug, #slugs). Among several
candidates the company decides: posts that carry the tag together with a name of the sense, of a
hypernym or of a hyponym of it, beyond what chance gives. Where no company is kept, the sense used
most wins.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.reading import Reading

PRIOR_POSTS = 2.0
"""Weight of the sense's share of use against the company, in posts."""

Company = dict[str, dict[int, set[str]]]
"""For each ambiguous tag and each of its candidates, the tags that speak for it."""


def company(readings: Mapping[str, Reading], lexicon: Lexicon) -> Company:
    """The tags whose presence speaks for one candidate of an ambiguous tag, by kinship of nouns."""
    above = {
        synset: {synset, *lexicon.ancestors(synset)}
        for reading in readings.values() for synset in reading.shares
    }  # fmt: skip
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
    """Posts on which its kin stand beside the tag, beyond what chance gives."""

    @property
    def total(self) -> float:
        """What the senses are ranked by."""
        return PRIOR_POSTS * self.share + self.company


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
        num_posts: posts in all.
    """

    def beyond_chance(tag: str, others: Iterable[str]) -> float:
        own = together.get((tag, tag), 0)
        return sum(
            max(0.0, together[tag, other] - own * together.get((other, other), 0) / num_posts)
            for other in sorted(others)
            if (tag, other) in together
        )

    scores: Scores = {}
    for tag, reading in sorted(readings.items()):
        for synset, share in reading.shares.items():
            of_noun = scores.setdefault(reading.noun, {})
            so_far = of_noun.get(synset, Score(share, 0.0))
            company = beyond_chance(tag, kin.get(tag, {}).get(synset, ()))
            of_noun[synset] = Score(share, so_far.company + company)
    return scores


def choose(readings: Mapping[str, Reading], scores: Scores) -> dict[str, int]:
    """One synset for every tag that has candidates, the same for all tags with the same noun."""
    best = {noun: max(of, key=lambda synset: of[synset].total) for noun, of in scores.items()}
    return {tag: best[reading.noun] for tag, reading in readings.items() if reading.shares}
