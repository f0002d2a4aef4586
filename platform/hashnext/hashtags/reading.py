"""How the lexicon reads a tag: the noun in it, and the senses of it that a picture can show.

The candidates of a noun are its visual senses, if these hold at least `MIN_VISUAL_SHARE` of its
use: #good is no commodity. Use is measured by the sense counts of the semantic concordance, plus
`SMOOTHING` for each sense and as much again where the noun is the synset's first name.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import NamedTuple

from hashnext.hashtags import data
from hashnext.hashtags.entries import NO_ENTRIES, Entries
from hashnext.hashtags.lexicon import Lexicon
from hashnext.hashtags.match import MAX_LENGTH, NOUN_RULES, Match, matches
from hashnext.hashtags.normalise import normalise
from hashnext.hashtags.visual import DENIED, PERSON_REASON, VisualPolicy

MIN_VISUAL_SHARE = 0.25
MIN_HEAD_SHARE = 0.6
"""The same where the noun is only the last word of a compound."""
SMOOTHING = 0.5
NO_NOUN = "no noun synset"
OUTSIDE = "outside scope imagenet"
UNUSUAL = "an unusual name of it"
ABBREVIATION = "an abbreviation of it"
MAX_ABBREVIATION = 2
"""Letters up to which a name is an abbreviation, unless it is the first one or of an artifact."""


class Reading(NamedTuple):
    """A normalised tag as the lexicon reads it."""

    match: Match | None
    shares: Mapping[int, float]
    """Candidate synsets and their shares of the noun's use; empty when the tag is out."""
    reason: str
    """Why the tag is out, or empty."""

    @property
    def noun(self) -> str:
        """The form of the lexicon that the tag holds; it must hold one."""
        assert self.match
        return self.match.form


NOTHING = Reading(None, {}, NO_NOUN)


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads tags with one lexicon, one visual policy and one scope."""

    lexicon: Lexicon
    only_ilsvrc: bool = False
    """Leave only ILSVRC synsets among the candidates."""
    allow: Entries = NO_ENTRIES
    deny: Entries = NO_ENTRIES
    named_places: bool = False

    def read(self, tag: str, words: Sequence[str] = ()) -> Reading:
        """Candidates of a normalised tag, or the reason why there are none.

        A tag that is a noun of its own (#glasses) is no plural, unless the concordance has only the
        singular (#wheels). `words` are those of `match.matches`.
        """
        if why := self.never(tag):
            return Reading(None, {}, why)
        readings = self.alternatives(tag, words)
        if not readings:
            return NOTHING
        seen = [reading for reading in readings if reading.shares]
        return max(seen, key=self._is_used) if seen else readings[0]

    def never(self, tag: str) -> str | None:
        """Why a normalised tag is not even looked up, or None when it is."""
        if not tag:
            return "nothing left after normalisation"
        if len(tag) > MAX_LENGTH:
            return f"longer than {MAX_LENGTH} letters"
        return DENIED if tag in self.deny.tags else None

    def alternatives(self, tag: str, words: Sequence[str]) -> list[Reading]:
        """A reading for every noun that the tag can be, the likeliest first."""
        return [self._read_noun(tag, noun) for noun in matches(tag, self.lexicon, words)]

    def why_out(self, found: Match, synset: int) -> str | None:
        """Why a sense of a noun is out, or None when it is a candidate."""
        why = self.visual.why_out(synset)
        if why is None and self._is_outside(synset):
            return OUTSIDE
        if why is None and found.of_compound and not self._is_usual(found.form, synset):
            return UNUSUAL  # #nikeairmax ends in a slang name of a drug
        if why is None and self._is_abbreviation(found.form, synset):
            return ABBREVIATION  # #pt is no platinum
        return why

    def _read_noun(self, tag: str, found: Match) -> Reading:
        allowed = tag in self.allow.tags
        shares = self.shares(found.form)
        outs = {synset: self.why_out(found, synset) for synset in shares}
        visual = {synset: share for synset, share in shares.items() if outs[synset] is None}
        named = {s: share for s, share in visual.items() if s in self.allow.synsets}
        if allowed and not visual:
            visual = {
                s: share for s, share in shares.items()
                if outs[s] not in (PERSON_REASON, DENIED) and not self._is_outside(s)
            }  # fmt: skip
        if visual and allowed:
            return Reading(found, visual, "")
        if named:
            return Reading(found, named, "")
        if why := self._reviewed.get(tag) or self._reviewed.get(found.form):
            return Reading(found, {}, f"reviewed: {why}")
        visible = sum(share for synset, share in shares.items() if outs[synset] in (None, OUTSIDE))
        if visible >= self.needed(found):
            return Reading(found, visual, "" if visual else OUTSIDE)
        main = max(outs.keys() - visual.keys(), key=lambda synset: (shares[synset], -synset))
        return Reading(found, {}, outs[main] or "")

    @staticmethod
    def needed(found: Match) -> float:
        """Share of a noun's use that its visual senses must hold."""
        return MIN_HEAD_SHARE if found.of_compound else MIN_VISUAL_SHARE

    def _is_outside(self, synset: int) -> bool:
        """True for a synset outside the scope, which no list lets in."""
        return self.only_ilsvrc and synset not in self.lexicon.ilsvrc

    def _is_used(self, reading: Reading) -> bool:
        """True for a tag that is a noun as a whole, and one that the concordance has."""
        assert reading.match
        return reading.match.rule in NOUN_RULES and any(self.lexicon.counts(reading.noun))

    def _is_usual(self, form: str, synset: int) -> bool:
        """True for a synset's first name, and for any that the concordance has in this sense."""
        used = dict(zip(self.lexicon.senses(form), self.lexicon.counts(form), strict=True))
        return used[synset] > 0 or self._is_first_name(form, synset)

    def _is_abbreviation(self, form: str, synset: int) -> bool:
        """True for a chemical symbol, but not for #ox or #pc."""
        short = len(form) <= MAX_ABBREVIATION and self.lexicon.lexname(synset) != "artifact"
        return short and not self._is_first_name(form, synset)

    def _is_first_name(self, form: str, synset: int) -> bool:
        return normalise(self.lexicon.name(synset)) == form

    def shares(self, form: str) -> dict[int, float]:
        """Every synset of a form with its share of the form's use."""
        if form not in self._shares:
            self._shares[form] = self._weigh(form)
        return self._shares[form]

    def _weigh(self, form: str) -> dict[int, float]:
        synsets = self.lexicon.senses(form)
        weights = [
            count + SMOOTHING * (1 + self._is_first_name(form, synset))
            for synset, count in zip(synsets, self.lexicon.counts(form), strict=True)
        ]
        return {s: weight / sum(weights) for s, weight in zip(synsets, weights, strict=True)}

    @cached_property
    def _shares(self) -> dict[str, dict[int, float]]:
        return {}

    @cached_property
    def visual(self) -> VisualPolicy:
        """The policy on what a picture can show."""
        return VisualPolicy(self.lexicon, self.allow.synsets, self.deny.synsets, self.named_places)

    @cached_property
    def _reviewed(self) -> dict[str, str]:
        """Why nouns, and whole tags, of the reviewed list are out."""
        text = resources.files(data).joinpath("reviewed_forms.tsv").read_text()
        return {
            line["form"]: line["why"] for line in csv.DictReader(text.splitlines(), delimiter="\t")
        }
