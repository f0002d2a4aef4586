"""What became of the labels: every label falls into one change on its side.

By the links between labels (see `flow.Links`):

| change  | a label before, linked to           | a label after, linked to            |
|---------|-------------------------------------|-------------------------------------|
| added   |                                     | none                                |
| lost    | none                                |                                     |
| split   | two or more                         | one that is linked to two or more   |
| merged  | one that is linked to two or more   | two or more                         |
| renamed | one of another key, and no other to that one | the same                   |
| kept    | one of the same key, and no other to that one | the same                  |

Exchanging the vocabularies exchanges added with lost and merged with split.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hashnext.hashtags.comparison.flow import Links, label_keys
from hashnext.hashtags.vocabulary import Vocabulary

CHANGES = ("added", "lost", "renamed", "merged", "split", "kept")
MIRROR = {change: change for change in CHANGES} | {
    "added": "lost", "lost": "added", "merged": "split", "split": "merged",
}  # fmt: skip
"""What a change is called when the vocabularies are exchanged."""

LABEL_CHANGES = pa.schema([
    ("change", pa.string()), ("key", pa.string()), ("name", pa.string()),
    ("posts_before", pa.int64()), ("posts_after", pa.int64()), ("difference", pa.int64()),
    ("from", pa.list_(pa.string())), ("to", pa.list_(pa.string())), ("reason", pa.string()),
])  # fmt: skip
"""A row for every label, in the order of `CHANGES`, those on most posts first.

`posts_*` are null where that vocabulary lacks the label, and then so is `difference`. `from` holds
the keys of the labels before that a label after is linked to, `to` those after that a label before
is linked to. `change` is "split and merged" for a label in both that gave hashtags to another label
and took some from another: it counts as split before and as merged after. `reason` says why most
occurrences of a lost label's hashtags have no label after, or of an added label's had none before.
"""


def change_before(links: Links, key: str) -> str:
    """The change that a label of the first vocabulary underwent."""
    match links.to[key]:
        case []:
            return "lost"
        case [only] if len(links.origin[only]) > 1:
            return "merged"
        case [only]:
            return "kept" if only == key else "renamed"
        case _:
            return "split"


def change_after(links: Links, key: str) -> str:
    """The change that a label of the second vocabulary came by."""
    return MIRROR[change_before(links.mirrored(), key)]


def count_changes(links: Links) -> dict[str, dict[str, int]]:
    """Labels by change and in total, of each side: {"before": ..., "after": ...}."""
    before = Counter(change_before(links, key) for key in links.to)
    after = Counter(change_after(links, key) for key in links.origin)
    return {
        side: {change: counts[change] for change in CHANGES} | {"total": counts.total()}
        for side, counts in (("before", before), ("after", after))
    }


def label_changes(
    before: Vocabulary, after: Vocabulary, links: Links, reasons: Mapping[str, str]
) -> pa.Table:
    """The table of `LABEL_CHANGES`; `reasons` by key, those of other than lost or added unused."""
    posts_before, posts_after = _by_key(before, "posts"), _by_key(after, "posts")
    names = _by_key(before, "name") | _by_key(after, "name")
    rows = []
    for key, name in names.items():
        change = _change(links, key)
        one, other = posts_before.get(key), posts_after.get(key)
        rows.append({
            "change": change, "key": key, "name": name, "posts_before": one, "posts_after": other,
            "difference": None if one is None or other is None else other - one,
            "from": links.origin.get(key, []), "to": links.to.get(key, []),
            "reason": reasons.get(key) if change in ("added", "lost") else None,
        })  # fmt: skip
    return pa.Table.from_pylist(sorted(rows, key=_rank), LABEL_CHANGES)


def _change(links: Links, key: str) -> str:
    """The change of a label on each side that has it, said once where both agree."""
    changes = [change_before(links, key)] if key in links.to else []
    changes += [change_after(links, key)] if key in links.origin else []
    return " and ".join(dict.fromkeys(changes))


def _rank(row: dict[str, Any]) -> tuple[int, int, str]:
    first = row["change"].split()[0]
    return CHANGES.index(first), -max(row["posts_before"] or 0, row["posts_after"] or 0), row["key"]


def _by_key(vocabulary: Vocabulary, column: str) -> dict[str, Any]:
    values = vocabulary.labels[column].to_pylist()
    return dict(zip(label_keys(vocabulary).to_pylist(), values, strict=True))
