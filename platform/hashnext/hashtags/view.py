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
            keys = without(keys, self._ancestor_keys(keys))
        return self._ragged(keys, lists.size)

    def label_and_shown(self, lists: TagLists) -> tuple[Ragged, NDArray[np.int64]]:
        """The same, and the labels that each post shows at all: its own and their ancestors.

        The latter without the posts, int64 (m,): a label comes as often as posts show it.
        """
        keys = self._keys(lists)
        above = self._ancestor_keys(keys)
        shown = sorted_unique(np.concatenate([keys, above])) % self.num_labels
        if self.specificity == "drop_ancestors":
            keys = without(keys, above)
        return self._ragged(keys, lists.size), shown

    def _keys(self, lists: TagLists) -> NDArray[np.int64]:
        """row * V + label of every label met, ascending and unique."""
        tags = lists.normalised
        if tags is None:
            tags = pa.array(map(normalised, lists.distinct.to_pylist()), pa.string())
        places = pc.fill_null(pc.index_in(tags, pa.array(self.label_of, pa.string())), -1)
        numbers = np.array([*self.label_of.values(), -1], np.int64)  # the last where none is found
        ids = numbers[places.to_numpy()][lists.codes]
        found = np.flatnonzero(ids >= 0)
        return sorted_unique(lists.rows[found] * self.num_labels + ids[found])

    def _ancestor_keys(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = keys // self.num_labels  # np.divmod takes twice as long
        ids = keys - rows * self.num_labels
        starts, stops = self.ancestor_offsets[ids], self.ancestor_offsets[ids + 1]
        above = self.ancestors[spans(starts, stops)]
        found: NDArray[np.int64] = np.repeat(rows, stops - starts) * self.num_labels + above
        return found

    def _ragged(self, keys: NDArray[np.int64], num_rows: int) -> Ragged:
        rows = keys // self.num_labels
        ids = keys - rows * self.num_labels
        lengths = np.bincount(rows, minlength=num_rows)
        return np.concatenate([[0], np.cumsum(lengths)]), ids.astype(np.int32)


def sorted_unique(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """`np.unique` of keys >= 0 that nearly ascend, by a sort instead of a hash table.

    A stable sort merges what ascends already, in a seventh of the time: a post's few tags are all
    that is out of order. Here and elsewhere numbers pick from arrays: picking by a mask takes
    several times longer.
    """
    keys = np.sort(keys, kind="stable")
    found: NDArray[np.int64] = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
    return found


def without(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """The keys >= 0, ascending, that are not among others; one sort is quicker than searching."""
    marked = np.sort(np.concatenate([2 * keys + 1, 2 * others]), kind="stable")
    alone = (marked & 1).astype(np.bool_) & (np.diff(marked, prepend=-2) != 1)
    found: NDArray[np.int64] = marked[np.flatnonzero(alone)] >> 1
    return found


def spans(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of many half-open ranges, one after the other: [2, 5), [7, 8) as 2 3 4 7."""
    counts = stops - starts
    first = np.cumsum(counts) - counts
    indices: NDArray[np.int64] = np.arange(counts.sum()) + np.repeat(starts - first, counts)
    return indices


def make_view(
    label_of: dict[str, int],
    wnids: pa.ListArray | pa.ChunkedArray,
    parents: pa.ListArray | pa.ChunkedArray,
    specificity: Specificity = DEFAULT_SPECIFICITY,
) -> LabelView:
    """The view of a vocabulary.

    Args:
        label_of: label id of each normalised tag.
        wnids: list<string> (V,), the synsets of each label.
        parents: list<string> (V,), wnids of all hypernyms of each label, those without a label
            included.
        specificity: what becomes of a hypernym beside its hyponym.
    """
    named, above, size = encode(wnids), encode(parents), len(wnids)
    owner = np.full(len(named.distinct) + 1, -1)  # the last where none is found
    owner[named.codes] = named.rows
    places = pc.fill_null(pc.index_in(above.distinct, named.distinct), -1)
    labels = owner[places.to_numpy()][above.codes]
    proper = (labels >= 0) & (labels != above.rows)
    rows, ancestors = np.divmod(sorted_unique(above.rows[proper] * size + labels[proper]), size)
    offsets = np.searchsorted(rows, np.arange(size + 1))
    return LabelView(label_of, offsets, ancestors, specificity)


def numbering(tags: Sequence[str]) -> LabelView:
    """A view that numbers normalised tags in the order given."""
    alone = np.zeros(len(tags) + 1, np.int64)
    return LabelView({tag: number for number, tag in enumerate(tags)}, alone, alone[:0])
