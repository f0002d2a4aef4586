"""Where each hashtag went between two vocabularies, and which of their labels that links.

Label ids mean nothing outside their vocabulary, and the two may be counted on other posts; what
they share is hashtags. A label is known by its key: its wnid, else (no synset names it) its name.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.errors import DataError
from hashnext.hashtags.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Links:
    """Which labels share hashtags, by key; linked labels with most occurrences come first.

    Two labels are linked when a hashtag has the one before and the other after, or when they have
    the same key: a synset in both vocabularies is one label even where its spellings differ.
    """

    to: dict[str, list[str]]
    """For every label before, the labels after that it is linked to."""
    origin: dict[str, list[str]]
    """For every label after, the labels before that it is linked to."""

    def mirrored(self) -> "Links":
        """The links as seen from the other vocabulary."""
        return Links(to=self.origin, origin=self.to)


def label_keys(vocabulary: Vocabulary) -> pa.ChunkedArray:
    """What identifies each label in any vocabulary, string (V,).

    Raises:
        DataError: two labels have the same key.
    """
    keys = pc.coalesce(vocabulary.labels["wnid"], vocabulary.labels["name"])
    if len(keys.unique()) < len(keys):
        counts = pa.table({"key": keys}).group_by("key").aggregate([("key", "count")])
        twice = counts.filter(pc.greater(counts["key_count"], 1))["key"][0].as_py()
        raise DataError(f"labels.parquet: two labels are called {twice!r}; not comparable")
    return keys


def follow(before: Vocabulary, after: Vocabulary) -> pa.Table:
    """One row for every normalised hashtag that either vocabulary has met, in no order.

    Returns:
        `normalised`, then `posts_*`, `label_*` (key), `name_*` and `reason_*` for `*` = `before`
        and `after`. `posts` is the sum over its spellings, null where the vocabulary has not met
        the hashtag; `label` and `name` are null where it has no label.
    """
    sides = _decided(before, "before"), _decided(after, "after")
    return sides[0].join(sides[1], "normalised", join_type="full outer")


def _decided(vocabulary: Vocabulary, side: str) -> pa.Table:
    """The columns of `follow` for one side, a row for every normalised hashtag that it has met."""
    spellings = vocabulary.decisions.group_by("normalised", use_threads=False)
    met = spellings.aggregate([("posts", "sum"), ("label_id", "first"), ("reason", "first")])
    return pa.table(
        {
            "normalised": met["normalised"],
            f"posts_{side}": met["posts_sum"],
            f"label_{side}": label_keys(vocabulary).take(met["label_id_first"]),
            f"name_{side}": vocabulary.labels["name"].take(met["label_id_first"]),
            f"reason_{side}": met["reason_first"],
        }
    )


def link(before: Vocabulary, after: Vocabulary, hashtags: pa.Table) -> Links:
    """The links between the labels of two vocabularies, from the table of `follow`."""
    keys, other_keys = label_keys(before).to_pylist(), label_keys(after).to_pylist()
    occurrences = {(key, key): 0 for key in set(keys) & set(other_keys)} | _shared(hashtags)
    to: dict[str, list[str]] = {key: [] for key in keys}
    origin: dict[str, list[str]] = {key: [] for key in other_keys}
    for one, other in sorted(occurrences, key=lambda pair: (-occurrences[pair], pair)):
        to[one].append(other)
        origin[other].append(one)
    return Links(to=to, origin=origin)


def _shared(hashtags: pa.Table) -> dict[tuple[str, str], int]:
    """Occurrences before and after of the hashtags that each pair of labels shares."""
    both = pc.and_(hashtags["label_before"].is_valid(), hashtags["label_after"].is_valid())
    pairs = hashtags.filter(both).group_by(["label_before", "label_after"])
    totals = pairs.aggregate([("posts_before", "sum"), ("posts_after", "sum")])
    return {
        (row["label_before"], row["label_after"]): row["posts_before_sum"] + row["posts_after_sum"]
        for row in totals.to_pylist()
    }
