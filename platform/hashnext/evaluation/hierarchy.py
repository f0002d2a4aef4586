"""Down to which level of WordNet the first prediction is right, and how specific right ones are.

A post tagged #beagle for which *dog* is predicted is right as an animal and as a dog, and wrong
below. At depth d a prediction is right when it and one of the post's labels are the same label, or
both lie at depth d or deeper and have a synset of depth d in common among themselves and their
hypernyms; depth is the length of the shortest hypernym path to *entity*. Every common synset has
hypernyms at all depths above it, which are common, too: so the accuracy never rises with the depth.
At depth 0 it is 1.

Labels that no synset names are neither predicted nor counted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hashnext.evaluation.bootstrap import Interval, mean_interval
from hashnext.evaluation.predictions import Predictions
from hashnext.hashtags import lexicon
from hashnext.hashtags.vocabulary import Vocabulary

THE_LABEL_ITSELF = 1_000
"""In place of a depth: deeper than any synset."""


@dataclass(frozen=True)
class LabelNames:
    """What names each label, and how much it says; small to pickle."""

    wnids: Sequence[str | None]
    """(V,); None where no synset names the label."""
    information: NDArray[np.float32]
    """Information content in bits, (V,): -log2 of the share of posts with the label or one below
    it (Resnik 1995)."""

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "LabelNames":
        """Those of a vocabulary's labels."""
        labels = vocabulary.labels
        return cls(labels["wnid"].to_pylist(), labels["information_content"].to_numpy())

    @cached_property
    def named(self) -> NDArray[np.int64]:
        """Labels that a synset names, int64 (m,)."""
        return np.flatnonzero([wnid is not None for wnid in self.wnids])


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How good and how specific the first predictions are."""

    accuracy: tuple[Interval, ...]
    """At depths 0, 1, ... down to that of the deepest label."""
    exact: float
    """Share of posts for which the label itself is right."""
    right_depth: float | None
    """Mean depth of the labels that are right; None where none is."""
    right_information: float | None
    """Mean information content of the labels that are right, in bits."""

    def figures(self) -> dict[str, Any]:
        """For `result.json`."""
        return {
            "exact": self.exact,
            "right_depth": self.right_depth,
            "right_information_bits": self.right_information,
            "accuracy_by_depth": [interval.mean for interval in self.accuracy],
        }


@dataclass(frozen=True, kw_only=True)
class HierarchyReport:
    """The network's first predictions beside the commonest label's."""

    ours: Answers
    baseline: Answers
    """Of always predicting the named label with most training posts."""
    posts: int
    """Posts with a named label."""
    posts_left_out: int
    """Posts whose labels have no synset."""
    nameless_labels: int

    def figures(self) -> dict[str, Any]:
        """For `result.json`."""
        return {
            **self.ours.figures(),
            "baseline": self.baseline.figures(),
            "posts": self.posts,
            "posts_left_out": self.posts_left_out,
            "nameless_labels": self.nameless_labels,
        }


def hierarchy_report(
    posts: Predictions, label_posts: NDArray[np.int64], names: LabelNames
) -> HierarchyReport | None:
    """The report; None where no post has a named label.

    Args:
        posts: predictions; every post has a label.
        label_posts: training posts of each label, (V,).
        names: what names the labels.
    """
    if not len(names.named):
        return None
    tree = _Tree(names)
    named = torch.from_numpy(names.named)
    first = names.named[posts.by_rows(lambda logits: logits[:, named].argmax(1)).numpy()]
    commonest = np.full(len(posts), names.named[label_posts[names.named].argmax()])
    ours, theirs = (tree.common_depth(predicted, posts) for predicted in (first, commonest))
    judged = ours >= 0
    if not judged.any():
        return None
    return HierarchyReport(
        ours=tree.answers(first[judged], ours[judged]),
        baseline=tree.answers(commonest[judged], theirs[judged]),
        posts=int(judged.sum()),
        posts_left_out=int((~judged).sum()),
        nameless_labels=len(names.wnids) - len(names.named),
    )


class _Tree:
    """The places of labels among WordNet's nouns."""

    def __init__(self, names: LabelNames) -> None:
        nouns = lexicon.load()
        rows = [None if wnid is None else nouns.row(wnid) for wnid in names.wnids]
        self.nouns, self.information = nouns, names.information
        self.depths = np.array([-1 if row is None else nouns.depth(row) for row in rows])
        self.above = [
            frozenset() if row is None else frozenset([row, *nouns.ancestors(row)]) for row in rows
        ]

    def common_depth(self, predicted: NDArray[np.int64], posts: Predictions) -> NDArray[np.int64]:
        """Deepest level at which each post's prediction is right, int64 (n,); -1 without a name."""
        pairs = predicted[posts.owners] * len(self.above) + posts.labels
        distinct, places = np.unique(pairs, return_inverse=True)
        depths = [self._common(*divmod(pair, len(self.above))) for pair in distinct.tolist()]
        found = np.full(len(posts), -1, np.int64)
        np.maximum.at(found, posts.owners, np.array(depths, np.int64)[places])
        return found

    def answers(self, predicted: NDArray[np.int64], depths: NDArray[np.int64]) -> Answers:
        """Figures of posts' predictions (n,) that are right down to some depths (n,)."""
        right = predicted[depths == THE_LABEL_ITSELF]
        return Answers(
            accuracy=tuple(
                mean_interval(depths >= depth) for depth in range(int(self.depths.max()) + 1)
            ),
            exact=len(right) / len(predicted),
            right_depth=float(self.depths[right].mean()) if len(right) else None,
            right_information=float(self.information[right].mean()) if len(right) else None,
        )

    def _common(self, predicted: int, label: int) -> int:
        if predicted == label:
            return THE_LABEL_ITSELF
        common = self.above[predicted] & self.above[label]
        deepest = max((self.nouns.depth(synset) for synset in common), default=-1)
        # A dog is a domestic animal, near the top, and also a canine, which lies deeper than that.
        return int(min(deepest, self.depths[predicted], self.depths[label]))
