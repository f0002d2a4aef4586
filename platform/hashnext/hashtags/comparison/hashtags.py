"""What became of the hashtags: gained a label, lost it, or moved to another."""

import pyarrow as pa
import pyarrow.compute as pc

HASHTAG_CHANGES = pa.schema([
    ("change", pa.string()), ("normalised", pa.string()),
    ("posts_before", pa.int64()), ("posts_after", pa.int64()),
    ("label_before", pa.string()), ("label_after", pa.string()),
    ("name_before", pa.string()), ("name_after", pa.string()), ("reason", pa.string()),
])  # fmt: skip
"""A row for every hashtag whose label has another key, or is there on one side only; the most
frequent first.

`posts_*` are null where that vocabulary has not met the hashtag, `label_*` (keys) and `name_*`
where it has no label. `reason` is that of the decision without a label; where the hashtag moved,
that of the later decision.
"""

NOT_MET = "hashtag not met"
"""Reason where a vocabulary has no decision on a hashtag."""


def hashtag_changes(followed: pa.Table) -> pa.Table:
    """The table of `HASHTAG_CHANGES`, from that of `flow.follow`."""
    gained, lost, both = _sides(followed)
    same = pc.fill_null(pc.equal(followed["label_before"], followed["label_after"]), False)
    cases = pc.make_struct(gained, lost, pc.and_not(both, same))
    reason = pc.if_else(gained, followed["reason_before"], followed["reason_after"])
    columns = {name: followed[name] for name in followed.column_names} | {
        "change": pc.case_when(cases, "gained", "lost", "moved"),
        "reason": pc.fill_null(reason, NOT_MET),
        "posts": pc.max_element_wise(followed["posts_before"], followed["posts_after"]),
    }
    changed = pa.table(columns).filter(columns["change"].is_valid())
    ordered = changed.sort_by([("posts", "descending"), ("normalised", "ascending")])
    return ordered.select(HASHTAG_CHANGES.names).cast(HASHTAG_CHANGES)


def count_hashtags(hashtags: pa.Table) -> dict[str, int]:
    """Hashtags by change."""
    return {
        change: int(pc.sum(pc.equal(hashtags["change"], change)).as_py() or 0)
        for change in ("gained", "lost", "moved")
    }


def count_occurrences(followed: pa.Table) -> dict[str, int]:
    """Occurrences (posts, summed over hashtags) with a label: before - lost + gained + recounted
    = after.

    `recounted` is by how much the hashtags that have a label in both have become more frequent:
    0 on the same posts.
    """
    one, other = (pc.fill_null(followed[f"posts_{side}"], 0) for side in ("before", "after"))
    gained, lost, both = _sides(followed)
    counts = {"before": _sum(one, pc.or_(both, lost)), "lost": _sum(one, lost)}
    counts |= {"gained": _sum(other, gained), "recounted": _sum(pc.subtract(other, one), both)}
    return counts | {"after": _sum(other, pc.or_(both, gained))}


def main_reasons(hashtags: pa.Table) -> dict[str, str]:
    """For every label some of whose hashtags gained or lost it: the reason on most occurrences.

    Where both happened to one label, the reason of the loss.
    """
    gained = _main_reasons(hashtags, "gained", "after")
    return gained | _main_reasons(hashtags, "lost", "before")


def _main_reasons(hashtags: pa.Table, change: str, side: str) -> dict[str, str]:
    label, posts = f"label_{side}", f"posts_{side}"
    rows = hashtags.filter(pc.equal(hashtags["change"], change))
    totals = rows.group_by([label, "reason"]).aggregate([(posts, "sum")])
    rising = totals.sort_by([(f"{posts}_sum", "ascending"), ("reason", "descending")])
    return dict(zip(rising[label].to_pylist(), rising["reason"].to_pylist(), strict=True))


def _sides(followed: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray, pa.ChunkedArray]:
    """Which hashtags gained a label, which lost theirs, which have one on both sides."""
    had, has = followed["label_before"].is_valid(), followed["label_after"].is_valid()
    return pc.and_not(has, had), pc.and_not(had, has), pc.and_(had, has)


def _sum(counts: pa.ChunkedArray, where: pa.ChunkedArray) -> int:
    return int(pc.sum(counts.filter(where)).as_py() or 0)
