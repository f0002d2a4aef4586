"""Two vocabularies in, their comparison out: labels, hashtags, and the posts that they reach."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.errors import SchemaError
from hashnext.hashtags.comparison.flow import follow, link
from hashnext.hashtags.comparison.hashtags import (
    count_hashtags,
    count_occurrences,
    hashtag_changes,
    main_reasons,
)
from hashnext.hashtags.comparison.labels import count_changes, label_changes
from hashnext.hashtags.reasons import kind
from hashnext.hashtags.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """What changed from one vocabulary to another."""

    labels: pa.Table
    """A row for every label, as in `labels.LABEL_CHANGES`."""
    hashtags: pa.Table
    """A row for every hashtag whose label changed, as in `hashtags.HASHTAG_CHANGES`."""
    figures: dict[str, Any]
    """`labels` by change on each side, `reasons` of the added and the lost ones, `hashtags` by
    change, `posts`, `posts_with_label` and `occurrences_with_label` before and after, and whether
    both vocabularies count the `same_source`."""


def compare(before: Vocabulary, after: Vocabulary) -> Comparison:
    """What changed from one vocabulary to another, built from the same posts or from others.

    Raises:
        DataError: two labels of one vocabulary have the same wnid, or the same name and no wnid.
        SchemaError: a vocabulary does not tell how many posts it counted and labelled.
    """
    followed = follow(before, after)
    links = link(before, after, followed)
    hashtags = hashtag_changes(followed)
    labels = label_changes(before, after, links, main_reasons(hashtags))
    figures = {
        "same_source": before.meta.get("source") == after.meta.get("source"),
        "labels": count_changes(links),
        "reasons": {change: _reasons(labels, change) for change in ("added", "lost")},
        "posts": {"before": _posts(before, "posts"), "after": _posts(after, "posts")},
        "posts_with_label": {
            "before": _posts(before, "labelled"),
            "after": _posts(after, "labelled"),
        },
        "occurrences_with_label": count_occurrences(followed),
        "hashtags": count_hashtags(hashtags),
    }
    return Comparison(labels=labels, hashtags=hashtags, figures=figures)


def _reasons(labels: pa.Table, change: str) -> dict[str, int]:
    """Labels by the reason of their change, the commonest first."""
    reasons = labels.filter(pc.equal(labels["change"], change))["reason"].to_pylist()
    return dict(Counter(kind(reason or "no hashtags known") for reason in reasons).most_common())


def _posts(vocabulary: Vocabulary, count: str) -> int:
    if not isinstance(vocabulary.meta.get(count), int):
        raise SchemaError(f"vocabulary.json: lacks the count {count!r}; build the vocabulary anew")
    return int(vocabulary.meta[count])
