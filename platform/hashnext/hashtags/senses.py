"""What a tag means: the noun in it, the senses that a picture can show, and the one chosen.

A noun has one sense for the whole corpus, whichever way it is tagged (#slug, #slugs). Its
candidates are its visual senses, if these hold at least `MIN_VISUAL_SHARE` of its use: #good is no
commodity. Use is measured by the sense counts of the semantic concordance, plus `SMOOTHING` for
each sense and as much again where the noun is the synset's first name. Among several candidates
the company decides: posts that carry the tag together with a name of the sense, of a hypernym or
of a hyponym of it, beyond what chance gives. Where no company is kept, the sense used most wins.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from hashnext.hashtags import data
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.match import HEAD_NOUN, Match, matches
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.visual import VisualPolicy
from hashnext.hashtags.words import Words

MIN_VISUAL_SHARE = 0.25
MIN_HEAD_SHARE = 0.6
"""The same where the noun is only the last word of a compound."""
SMOOTHING = 0.5
PRIOR_POSTS = 2.0
"""Weight of the sense's share of use against the company, in posts."""


@dataclass(frozen=True)
class Reading:
    """A normalised tag as the lexicon reads it."""

    match: Match | None
    shares: Mapping[int, float]
    """Candidate synsets and their shares of the noun's use; empty when the tag is out."""
    reason: str
    """Why the tag is out, or empty."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads tags with one lexicon, one visual policy and one scope."""

    lexicon: Lexicon
    only_ilsvrc: bool = False
    """Leave only ILSVRC synsets among the candidates."""

    def read(self, tag: str, words: Words | None = None, written: str = "") -> Reading:
        """Candidates of a normalised tag, or the reason why there are none.

        `words` and `written` are those of `match.matches`.
        """
        if not tag:
            return Reading(None, {}, "nothing left after normalisation")
        found = matches(tag, self.lexicon, words, written)
        readings = [self._read_noun(noun) for noun in found]
        if not readings:
            return Reading(None, {}, "no noun synset")
        return next((reading for reading in readings if reading.shares), readings[0])

    def _read_noun(self, found: Match) -> Reading:
        if why := self._reviewed.get(found.form):
            return Reading(found, {}, f"reviewed: {why}")
        shares = self._shares(found.form)
        outs = {synset: self.visual.why_out(synset) for synset in shares}
        visual = {synset: share for synset, share in shares.items() if outs[synset] is None}
        if sum(visual.values()) < self._needed(found):
            main = max(outs.keys() - visual.keys(), key=lambda synset: (shares[synset], -synset))
            return Reading(found, {}, outs[main] or "")
        if not self.only_ilsvrc:
            return Reading(found, visual, "")
        inside = {s: share for s, share in visual.items() if s in self.lexicon.ilsvrc}
        return Reading(found, inside, "" if inside else "outside scope imagenet")

    @staticmethod
    def _needed(found: Match) -> float:
        return MIN_HEAD_SHARE if found.rule == HEAD_NOUN else MIN_VISUAL_SHARE

    def _shares(self, form: str) -> dict[int, float]:
        synsets = self.lexicon.senses(form)
        weights = [
            count + SMOOTHING * (1 + (normalise(self.lexicon.name(synset)) == form))
            for synset, count in zip(synsets, self.lexicon.counts(form), strict=True)
        ]
        return {s: weight / sum(weights) for s, weight in zip(synsets, weights, strict=True)}

    @cached_property
    def visual(self) -> VisualPolicy:
        """The policy on what a picture can show."""
        return VisualPolicy(self.lexicon)

    @cached_property
    def _reviewed(self) -> dict[str, str]:
        text = resources.files(data).joinpath("reviewed_forms.tsv").read_text()
        return {
            line["form"]: line["why"] for line in csv.DictReader(text.splitlines(), delimiter="\t")
        }


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


def choose(
    readings: Mapping[str, Reading],
    kin: Company,
    together: Mapping[tuple[str, str], int],
    num_posts: int,
) -> dict[str, int]:
    """One synset for every tag that has candidates, the same for all tags with the same noun.

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

    scores: dict[str, dict[int, float]] = {}
    for tag, reading in readings.items():
        for synset, share in reading.shares.items():
            of_noun = scores.setdefault(_noun(reading), {})
            friends = kin.get(tag, {}).get(synset, ())
            of_noun[synset] = of_noun.get(synset, PRIOR_POSTS * share) + beyond_chance(tag, friends)
    best = {noun: max(of, key=lambda synset: of[synset]) for noun, of in sorted(scores.items())}
    return {tag: best[_noun(reading)] for tag, reading in readings.items() if reading.shares}


def _noun(reading: Reading) -> str:
    assert reading.match
    return reading.match.form
