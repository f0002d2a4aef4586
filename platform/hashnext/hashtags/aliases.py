"""Hashtags that WordNet has no noun for, and what the posts tell about them.

A tag becomes another name of its nearest label on one of two kinds of evidence:

spelled alike  it looks like a hashtag of the label (#doggo, #dog) and stands beside it often;
same company   it is seldom seen without the label, each is nearest to the other, and both keep the
               same company (#inked, #tattoo).

A frequent tag that goes with few labels and is no alias is coherent but nameless. It can become a
label of its own, without a synset; since nothing tells a thing without a noun from a person, whom
no label may name, that is done on request only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.hashtags.usage import Use
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, Vocabulary

ALIKE, COMPANY, NAMELESS = "spelled alike", "same company", "nameless"
MIN_PREFIX = 3
"""Letters that spellings alike begin with."""
MIN_RATIO = 0.6
"""Ratcliff-Obershelp similarity of spellings alike."""
MIN_ALIKE_ASSOCIATION = 0.3
MIN_COMPANY_ASSOCIATION = 0.6
MIN_SIMILARITY = 0.5
MIN_COMPANY_POSTS = 100
"""Posts below which company alone proves nothing: one account can write them all."""
MAX_NAMELESS_SPREAD = 0.06


@dataclass(frozen=True)
class Finding:
    """What the evidence makes of a tag."""

    rule: str
    """One of ALIKE, COMPANY, NAMELESS."""
    label: int | None
    """The label it is another name of; None makes one of its own."""
    confidence: float
    reason: str


def find(use: Use, name: str, nouns: Iterable[str], nameless: bool) -> Finding | None:
    """What the use of a tag proves, or None.

    Args:
        use: the tag's figures.
        name: of its nearest label.
        nouns: hashtags that are its noun itself, in the singular or plural.
        nameless: let coherent tags become labels of their own.
    """
    reason = f"stands with {name} on {evidence(use)}"
    if use.association >= MIN_ALIKE_ASSOCIATION and any(alike(use.tag, noun) for noun in nouns):
        return Finding(ALIKE, use.label, use.association, f"{reason}; spelled alike")
    same = use.mutual and use.similarity >= MIN_SIMILARITY and use.posts >= MIN_COMPANY_POSTS
    if same and use.association >= MIN_COMPANY_ASSOCIATION:
        reason += f"; mutual nearest, similarity {use.similarity:.2f}"
        return Finding(COMPANY, use.label, use.association, reason)
    coherent = use.spread <= MAX_NAMELESS_SPREAD and use.posts >= MIN_COMPANY_POSTS
    if nameless and coherent:
        return Finding(NAMELESS, None, 1 - use.spread, f"coherent (spread {use.spread:.2f})")
    return None


def evidence(use: Use) -> str:
    """The figures of a tag and its nearest label, in words."""
    share = use.together / use.posts
    return f"{share:.0%} of {use.posts} posts (by chance {use.chance:.1%})"


def alike(one: str, other: str) -> bool:
    """True for spellings that begin alike and mostly agree: doggo and dog."""
    if one[:MIN_PREFIX] != other[:MIN_PREFIX] or min(len(one), len(other)) < MIN_PREFIX:
        return False
    first, second = sorted((one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= MIN_RATIO


def with_findings(vocabulary: Vocabulary, findings: Mapping[str, Finding]) -> Vocabulary:
    """The vocabulary with the tags added to their labels, or made labels of their own.

    Counts stay as they were; `cut.recount` makes them anew.
    """
    own = [tag for tag, finding in findings.items() if finding.label is None]
    new_id = {tag: vocabulary.num_labels + number for number, tag in enumerate(own)}
    label_of = {tag: new_id.get(tag, finding.label) for tag, finding in findings.items()}
    labels = pa.concat_tables([
        vocabulary.labels,
        pa.Table.from_pylist([_nameless(new_id[tag], tag) for tag in own], LABELS),
    ])  # fmt: skip
    return replace(
        vocabulary,
        labels=_with_hashtags(labels, label_of, vocabulary.decisions),
        decisions=_decided(vocabulary.decisions, label_of, findings),
    )


def _decided(
    decisions: pa.Table, label_of: Mapping[str, int | None], findings: Mapping[str, Finding]
) -> pa.Table:
    """Decisions with those on the tags found replaced."""
    found = pc.index_in(decisions["normalised"], pa.array(findings, pa.string()))
    columns = {
        "label_id": list(label_of.values()),
        "rule": [finding.rule for finding in findings.values()],
        "confidence": [finding.confidence for finding in findings.values()],
        "reason": [finding.reason for finding in findings.values()],
    }
    for name, values in columns.items():
        field = DECISIONS.field(name)
        column = pc.coalesce(pa.array(values, field.type).take(found), decisions[name])
        decisions = decisions.set_column(DECISIONS.get_field_index(name), field, column)
    return decisions


def _with_hashtags(
    labels: pa.Table, label_of: Mapping[str, int | None], decisions: pa.Table
) -> pa.Table:
    """Labels with further hashtags, each label's in the order of their posts."""
    sums = decisions.group_by("normalised").aggregate([("posts", "sum")])
    posts = dict(zip(sums["normalised"].to_pylist(), sums["posts_sum"].to_pylist(), strict=True))
    hashtags = labels["hashtags"].to_pylist()
    for tag, label in label_of.items():
        assert label is not None
        hashtags[label] = sorted([*hashtags[label], tag], key=lambda tag: (-posts[tag], tag))
    field = LABELS.field("hashtags")
    index = LABELS.get_field_index("hashtags")
    return labels.set_column(index, field, pa.array(hashtags, field.type))


def _nameless(label: int | None, tag: str) -> dict[str, object]:
    return {
        "label_id": label, "wnid": None, "wnids": [], "name": tag, "hashtags": [], "posts": 0,
        "depth": 0, "parents": [], "information_content": 0.0,
    }  # fmt: skip
