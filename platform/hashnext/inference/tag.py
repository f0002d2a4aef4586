"""What there is to say about each label of a model: the hashtag to write, its aliases, its kin."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.hashtags import lexicon
from hashnext.hashtags.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One label, as people write it and as WordNet knows it."""

    hashtag: str
    """The most used spelling, with its `#`."""
    name: str
    """Name of the label."""
    wnid: str | None
    """WordNet 3.0 synset that names the label, such as n02132136; None when none does."""
    aliases: tuple[str, ...]
    """Other spellings of the label, with their `#`, the most used first."""
    parents: tuple[str, ...]
    """Names of the broader synsets, nearest first."""


def label_tags(vocabulary: Vocabulary) -> tuple[Tag, ...]:
    """One tag per label, in the order of the network's outputs."""
    spellings = _spellings(vocabulary.decisions)
    rows = vocabulary.labels.sort_by("label_id").to_pylist()
    return tuple(_tag(row, spellings[row["label_id"]]) for row in rows)


def _spellings(decisions: pa.Table) -> dict[int, list[str]]:
    """Hashtags of each label as written, the most used first."""
    used = decisions.filter(pc.is_valid(decisions["label_id"]))
    used = used.sort_by([("posts", "descending"), ("hashtag", "ascending")])
    found: dict[int, list[str]] = defaultdict(list)
    for label, hashtag in zip(
        used["label_id"].to_pylist(), used["hashtag"].to_pylist(), strict=True
    ):
        found[label].append(_written(hashtag))
    return found


def _tag(row: dict[str, Any], spellings: list[str]) -> Tag:
    # A label whose every spelling is too rare to be published still has its name.
    hashtag, *aliases = spellings or [_written(row["name"].replace(" ", ""))]
    return Tag(
        hashtag=hashtag,
        name=row["name"],
        wnid=row["wnid"],
        aliases=tuple(dict.fromkeys(aliases)),
        parents=tuple(dict.fromkeys(_name(wnid) for wnid in row["parents"])),
    )


@cache
def _name(wnid: str) -> str:
    nouns = lexicon.load()
    return nouns.name(nouns.row(wnid))


def _written(hashtag: str) -> str:
    return "#" + hashtag.lstrip("#＃")
