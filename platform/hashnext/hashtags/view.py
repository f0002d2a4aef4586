"""A vocabulary applied to hashtags while they stream: lists of tags in, label ids out.

When a post carries a label and a hypernym of it (`#dog #beagle`), the vocabulary's policy decides:

    drop_ancestors  the hypernym goes: the specific label implies it
    keep            both stay, and share the target evenly
    weight          both stay, and share the target by their information content
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashnext.hashtags.normalise import normalised
from hashnext.posts.tags import TagLists, encode

Ragged = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Offsets int64 (n + 1,) and label ids int32 (m,): row i has ids[offsets[i] : offsets[i + 1]]."""

Specificity = Literal["drop_ancestors", "keep", "weight"]
DEFAULT_SPECIFICITY: Specificity = "drop_ancestors"


@dataclass(frozen=True, eq=False)
class LabelView:
    """What is needed to label posts, and no more: small to pickle."""

    label_of: dict[str, int]
    """Label id of a normalised tag; tags without a label are absent."""
    ancestor_offsets: NDArray[np.int64]
    """(V + 1,): label i lies below `ancestors[offsets[i] : offsets[i + 1]]`."""
    ancestors: NDArray[np.int64]
    """Label ids of the labels that are hypernyms, direct or not, of each label."""
    specificity: Specificity = DEFAULT_SPECIFICITY
    """What becomes of a hypernym beside its hyponym."""

    @property
    def num_labels(self) -> int:
        """V, the number of labels."""
        return len(self.ancestor_offsets) - 1

    def assign(self, hashtags: pa.ListArray | pa.ChunkedArray) -> Ragged:
        """Labels of each post: unique, ascending, hypernyms as the policy says.

        Args:
            hashtags: list<string> (n,), tags as written; null lists and null tags hold nothing.
        """
        return self.label(encode(hashtags))

    def label(self, lists: TagLists) -> Ragged:
        """The same of tags that are numbers already."""
        keys = self._keys(lists)
        if self.specificity == "drop_ancestors":
            keys = keys[~contains(np.sort(self._ancestor_keys(keys)), keys)]
        return self._ragged(keys, lists.size)

    def with_ancestors(self, assigned: Ragged) -> Ragged:
        """The same rows with every label's ancestors among the labels: what a post shows at all."""
        offsets, ids = assigned
        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        keys = rows * self.num_labels + ids
        keys = sorted_unique(np.concatenate([keys, self._ancestor_keys(keys)]))
        return self._ragged(keys, len(offsets) - 1)

    def _keys(self, lists: TagLists) -> NDArray[np.int64]:
        """row * V + label of every label met, ascending and unique."""
        tags = lists.normalised
        if tags is None:
            tags = pa.array(map(normalised, lists.distinct.to_pylist()), pa.string())
        places = pc.fill_null(pc.index_in(tags, pa.array(self.label_of, pa.string())), -1)
        numbers = np.array([*self.label_of.values(), -1], np.int64)  # the last where none is found
        ids = numbers[places.to_numpy()][lists.codes]
        found = ids >= 0
        return sorted_unique(lists.rows[found] * self.num_labels + ids[found])

    def _ancestor_keys(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        rows, ids = np.divmod(keys, self.num_labels)
        starts, stops = self.ancestor_offsets[ids], self.ancestor_offsets[ids + 1]
        above = self.ancestors[spans(starts, stops)]
        found: NDArray[np.int64] = np.repeat(rows, stops - starts) * self.num_labels + above
        return found

    def _ragged(self, keys: NDArray[np.int64], num_rows: int) -> Ragged:
        rows, ids = np.divmod(keys, self.num_labels)
        return np.searchsorted(rows, np.arange(num_rows + 1)), ids.astype(np.int32)


def sorted_unique(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """`np.unique` of keys >= 0, by a sort instead of a hash table."""
    keys = np.sort(keys)
    found: NDArray[np.int64] = keys[np.diff(keys, prepend=-1) != 0]
    return found


def contains(ascending: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which keys (n,) are among those of an ascending array; quickest where they ascend, too."""
    padded = np.append(ascending, -1)  # no key is negative
    found: NDArray[np.bool_] = padded[np.searchsorted(ascending, keys)] == keys
    return found


def spans(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of many half-open ranges, one after the other: [2, 5), [7, 8) as 2 3 4 7."""
    counts = stops - starts
    first = np.cumsum(counts) - counts
    indices: NDArray[np.int64] = np.arange(counts.sum()) + np.repeat(starts - first, counts)
    return indices


def make_view(
    label_of: dict[str, int],
    wnids: list[list[str]],
    parents: list[list[str]],
    specificity: Specificity = DEFAULT_SPECIFICITY,
) -> LabelView:
    """The view of a vocabulary.

    Args:
        label_of: label id of each normalised tag.
        wnids: the synsets of each label.
        parents: wnids of all hypernyms of each label, those without a label included.
        specificity: what becomes of a hypernym beside its hyponym.
    """
    owner = {wnid: label for label, names in enumerate(wnids) for wnid in names}
    above = [
        sorted({owner[wnid] for wnid in names if wnid in owner} - {label})
        for label, names in enumerate(parents)
    ]
    return LabelView(
        label_of=label_of,
        ancestor_offsets=np.cumsum([0, *map(len, above)], dtype=np.int64),
        ancestors=np.array([label for labels in above for label in labels], np.int64),
        specificity=specificity,
    )


def numbering(tags: Sequence[str]) -> LabelView:
    """A view that numbers normalised tags in the order given."""
    return make_view({tag: n for n, tag in enumerate(tags)}, [[]] * len(tags), [[]] * len(tags))
