"""What a picture can show: a verdict on every noun synset.

The rules, the first that applies:

1. persons are out, by policy: the labels are objects only;
2. what the vocabulary's own lists deny is out, what they allow is in;
3. a synset's own entry in the reviewed list (`data/reviewed_synsets.tsv`) holds;
4. named places and named natural objects (cities, rivers) are out, since a picture does not name
   them, unless the vocabulary asks for them;
5. the nearest hypernym's entry that reaches down (`tree`) holds;
6. the lexicographer file: animals, artifacts, parts of the body, food, objects, plants and
   substances are in, everything else is out.

The *abstraction* root of WordNet is no guide: traffic light and comic book are below it.
"""

import csv
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from hashnext.hashtags import data
from hashnext.hashtags.lexicon import Lexicon

PERSON_REASON = "person noun (policy: objects only)"
DENIED = "on the deny list"
SEEN = frozenset({"animal", "artifact", "body", "food", "object", "plant", "substance"})
NAMED = frozenset({"location", "object"})
PERSON = "n00007846"


@dataclass(frozen=True)
class Review:
    """A line of the reviewed list."""

    keep: bool
    tree: bool
    why: str

    @property
    def why_out(self) -> str | None:
        """Reason for leaving the synset out, or None when the entry keeps it."""
        return None if self.keep else f"reviewed: {self.why}"


@dataclass(frozen=True, eq=False)
class VisualPolicy:
    """Says of a synset why it is out, or None when a picture can show it."""

    lexicon: Lexicon
    allow: frozenset[int] = frozenset()
    """Synsets that are in whatever the rules say, unless they are persons."""
    deny: frozenset[int] = frozenset()
    """Synsets that are out."""
    named_places: bool = False
    """Let named places and named natural objects in."""

    def why_out(self, synset: int) -> str | None:
        """Reason for leaving a synset out, in plain words; None when it is in."""
        if synset not in self._verdicts:
            self._verdicts[synset] = self._judge(synset)
        return self._verdicts[synset]

    @cached_property
    def _verdicts(self) -> dict[int, str | None]:
        return {}

    def _judge(self, synset: int) -> str | None:
        file = self.lexicon.lexname(synset)
        if (
            file == "person"
            or synset == self._person
            or self._person in self.lexicon.ancestors(synset)
        ):
            return PERSON_REASON
        if synset in self.deny or synset in self.allow:
            return DENIED if synset in self.deny else None
        if review := self._reviews.get(synset):
            return review.why_out
        if file in NAMED and bool(self.lexicon.nouns["instance"][synset]):
            return None if self.named_places else f"named {file}"
        if review := self._inherited_review(synset):
            return review.why_out
        return None if file in SEEN else self._abstract(file)

    def _inherited_review(self, synset: int) -> Review | None:
        entries = (self._reviews.get(above) for above in self.lexicon.ancestors(synset))
        return next((entry for entry in entries if entry and entry.tree), None)

    @staticmethod
    def _abstract(file: str) -> str:
        return "too general a noun" if file == "Tops" else f"abstract noun ({file})"

    @cached_property
    def _person(self) -> int:
        return self.lexicon.row(PERSON)

    @cached_property
    def _reviews(self) -> dict[int, Review]:
        text = resources.files(data).joinpath("reviewed_synsets.tsv").read_text()
        return {
            self.lexicon.row(line["wnid"]): Review(
                line["verdict"] == "keep", line["reach"] == "tree", line["why"]
            )
            for line in csv.DictReader(text.splitlines(), delimiter="\t")
        }
