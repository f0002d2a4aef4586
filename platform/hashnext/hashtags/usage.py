"""How tags are used: with which labels they stand on posts, and how evenly they spread over them.

Four figures, for tags that WordNet has no noun for:

spread       exp(-KL(p(label | tag) || p(label))), the share of all label assignments that the tag
             goes with evenly: near 1 for #tbt, which stands beside anything, near 0 for #doggo. The
             divergence is corrected for small counts by (labels met - 1) / 2n (Miller 1955).
association  share of the tag's posts that carry its nearest label: the lower end of Wilson's 95 %
             interval (Wilson 1927). The nearest label has the highest association times log lift.
similarity   cosine of the tag's and the label's positive pointwise mutual information with all
             other labels (Levy et al. 2015): do they keep the same company?
mutual       of all tags with this nearest label, this one is nearest to it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashnext.hashtags.corpus import Corpus
from hashnext.hashtags.count import pairs_within, tally
from hashnext.hashtags.view import LabelView, numbering, spans
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.tags import TagLists

MIN_POSTS = 20
"""Posts below which the use of a tag says nothing."""
MIN_SHARE = 1e-4
"""Share of all posts below which a tag is not measured: it bounds how many tags there can be."""
MIN_ASSOCIATION = 0.2
"""Association below which the similarity is not worked out, but set to 0."""
Z = 1.96
"""Normal quantile of a 95 % interval."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Use:
    """The figures of one tag."""

    tag: str
    posts: int
    spread: float
    label: int
    """Id of the nearest label."""
    together: int
    """Posts with both."""
    association: float
    chance: float
    """Share of all posts that carry the label."""
    similarity: float
    mutual: bool = False


@dataclass(frozen=True)
class CountUse:
    """Posts with a tag and a label, and with two labels; a Tally.

    Keys are entity * V + label; entities are the tags, then the V labels. Of two labels the smaller
    one is the entity.
    """

    tags: LabelView
    """Numbers the tags; has no ancestors."""
    labels: LabelView

    def __call__(self, lists: TagLists) -> pa.Table:
        """`key` int64, `posts`."""
        offsets, ids = self.labels.label(lists)
        tag_offsets, tags = self.tags.label(lists)
        size, rows = self.labels.num_labels, _rows(tag_offsets)
        starts, stops = offsets[rows], offsets[rows + 1]
        beside_tags = np.repeat(tags.astype(np.int64), stops - starts) * size
        beside_tags += ids[spans(starts, stops)]
        beside_labels = pairs_within(offsets, ids, size) + self.tags.num_labels * size
        met = np.sort(np.concatenate([beside_tags, beside_labels]))
        first = np.flatnonzero(np.diff(met, prepend=-1))
        return pa.table({"key": met[first], "posts": np.diff(first, append=len(met))})


def measure_use(corpus: Corpus, vocabulary: Vocabulary, tags: dict[str, int]) -> list[Use]:
    """The figures of the tags on `MIN_POSTS` and `MIN_SHARE` of the posts, the commonest first.

    Args:
        corpus: the posts.
        vocabulary: its labels are what the tags are measured by.
        tags: normalised tags and their training posts.
    """
    ranked = sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    least = max(MIN_POSTS, MIN_SHARE * vocabulary.meta["posts"])
    names = [tag for tag, posts in ranked if posts >= least]
    if not names or not vocabulary.num_labels:
        return []
    counts = tally(corpus, CountUse(numbering(names), vocabulary.view()))
    company = _Company.of(counts, vocabulary, len(names))
    uses = [
        company.use(number, tag, tags[tag], len(names))
        for number, tag in enumerate(names)
        if company.assignments(number) >= MIN_POSTS
    ]
    return _with_mutual(uses)


class _Company:
    """Counts of every entity with every label it meets, as sorted runs of one array."""

    def __init__(self, starts: Ints, labels: Ints, posts: Ints, base: Floats, total: int) -> None:
        self.starts, self.labels, self.posts, self.total = starts, labels, posts, total
        self.base = base

    @classmethod
    def of(cls, counts: pa.Table, vocabulary: Vocabulary, num_tags: int) -> "_Company":
        keys, posts = _both_ways(counts, vocabulary.num_labels, num_tags)
        entities, labels = np.divmod(keys, vocabulary.num_labels)
        base = np.zeros(vocabulary.num_labels)
        alone = entities == num_tags + labels
        base[labels[alone]] = posts[alone]
        starts = np.searchsorted(entities, np.arange(num_tags + vocabulary.num_labels + 1))
        return cls(starts, labels, posts, base, int(vocabulary.meta["posts"]))

    def of_entity(self, entity: int) -> tuple[Ints, Ints]:
        """Labels that the entity meets, ascending, and the posts with both."""
        chosen = slice(self.starts[entity], self.starts[entity + 1])
        return self.labels[chosen], self.posts[chosen]

    def assignments(self, entity: int) -> int:
        """Labels on the entity's posts in all."""
        return int(self.of_entity(entity)[1].sum())

    def use(self, entity: int, tag: str, posts: int, num_tags: int) -> Use:
        labels, together = self.of_entity(entity)
        lower = wilson_lower(together, posts)
        lift = together / posts / (self.base[labels] / self.total)
        best = int(np.argmax(lower * np.log(np.maximum(lift, 1.0))))
        label, near = int(labels[best]), lower[best] >= MIN_ASSOCIATION
        return Use(
            tag, posts, self.spread(entity), label, int(together[best]), float(lower[best]),
            float(self.base[label] / self.total),
            self.similarity(entity, num_tags + label, label) if near else 0.0,
        )  # fmt: skip

    def spread(self, entity: int) -> float:
        labels, posts = self.of_entity(entity)
        share = posts / posts.sum()
        divergence = float(np.sum(share * np.log(share / (self.base[labels] / self.base.sum()))))
        bias = (len(labels) - 1) / (2 * posts.sum())
        return float(np.exp(-max(0.0, divergence - bias)))

    def similarity(self, one: int, other: int, without: int) -> float:
        (labels, ours), (their_labels, theirs) = (
            self._information(e, without) for e in (one, other)
        )
        _, left, right = np.intersect1d(labels, their_labels, return_indices=True)
        norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
        return float(ours[left] @ theirs[right] / norms) if norms else 0.0

    def _information(self, entity: int, without: int) -> tuple[Ints, Floats]:
        labels, posts = self.of_entity(entity)
        chosen = labels != without
        share = posts / max(posts.sum(), 1)
        ratio = share[chosen] / (self.base[labels[chosen]] / self.base.sum())
        return labels[chosen], np.maximum(np.log(ratio), 0.0)


def wilson_lower(successes: Ints, trials: int) -> Floats:
    """Lower end of Wilson's 95 % interval of a share: float64, the shape of `successes`."""
    share = successes / trials
    middle = share + Z * Z / (2 * trials)
    half = Z * np.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    lower: Floats = np.maximum((middle - half) / (1 + Z * Z / trials), 0.0)
    return lower


def _with_mutual(uses: Sequence[Use]) -> list[Use]:
    nearest: dict[int, list[Use]] = defaultdict(list)
    for use in uses:
        nearest[use.label].append(use)
    best = {
        id(max(of, key=lambda use: use.association * use.similarity)) for of in nearest.values()
    }
    return [replace(use, mutual=id(use) in best) for use in uses]


def _both_ways(counts: pa.Table, num_labels: int, num_tags: int) -> tuple[Ints, Ints]:
    """Keys, ascending, and posts, where either of two labels is the entity."""
    keys, posts = counts["key"].to_numpy(), counts["posts"].to_numpy()
    entities, labels = np.divmod(keys, num_labels)
    mirrored = (entities >= num_tags) & (entities != num_tags + labels)
    other = (labels[mirrored] + num_tags) * num_labels + entities[mirrored] - num_tags
    keys, posts = np.concatenate([keys, other]), np.concatenate([posts, posts[mirrored]])
    order = np.argsort(keys)
    return keys[order], posts[order]


def _rows(offsets: Ints) -> Ints:
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
