"""Levels of WordNet: examples by hand, and the definition applied level by level."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.evaluation.hierarchy import HierarchyReport, LabelNames, hierarchy_report
from hashnext.hashtags import lexicon
from tests.predictions import predictions

DOG, BEAGLE, CAT, PIZZA, NAMELESS, CLIFF = range(6)
WNIDS = ["n02084071", "n02088364", "n02121620", "n07873807", None, "n09246464"]
NAMES = LabelNames(WNIDS, np.array([1, 5, 2, 3, 9, 4], np.float32))
POSTS = np.array([50, 10, 20, 90, 100, 5])


def judged(rows: list[list[int]], first: list[int]) -> HierarchyReport:
    """The report on posts with some labels and first predictions."""
    logits = torch.nn.functional.one_hot(torch.tensor(first), len(WNIDS)).float()
    found = hierarchy_report(predictions(rows, logits), POSTS, NAMES)
    assert found is not None
    return found


def depth(label: int) -> int:
    nouns = lexicon.load()
    return nouns.depth(nouns.row(str(WNIDS[label])))


def level(report: HierarchyReport) -> int:
    """Deepest level at which the only post is right."""
    return max(d for d, interval in enumerate(report.ours.accuracy) if interval.mean == 1)


def test_a_broader_answer_is_right_down_to_its_own_depth() -> None:
    assert level(judged([[BEAGLE]], [DOG])) == depth(DOG)
    assert level(judged([[DOG]], [BEAGLE])) == depth(DOG)
    assert judged([[BEAGLE]], [DOG]).ours.exact == 0


def test_kin_share_their_hypernyms_and_strangers_only_the_top() -> None:
    kin, strangers = level(judged([[CAT]], [BEAGLE])), level(judged([[CAT]], [PIZZA]))
    nouns = lexicon.load()
    carnivore = nouns.row("n02075296")
    assert kin == nouns.depth(carnivore)
    assert strangers < 4 < kin
    assert level(judged([[CAT, BEAGLE]], [DOG])) == depth(DOG), "the nearest label counts"


def test_the_label_itself_is_right_all_the_way_and_counts_as_specific() -> None:
    found = judged([[BEAGLE], [DOG], [CAT]], [BEAGLE, DOG, PIZZA])
    assert found.ours.exact == pytest.approx(2 / 3)
    assert found.ours.accuracy[-1].mean == pytest.approx(2 / 3)
    assert found.ours.right_depth == (depth(BEAGLE) + depth(DOG)) / 2
    assert found.ours.right_information == 3
    assert found.baseline.exact == 0
    assert found.baseline.right_depth is None
    assert judged([[PIZZA]], [DOG]).baseline.right_depth == depth(PIZZA)


def test_labels_without_a_synset_are_left_out_and_counted() -> None:
    found = judged([[NAMELESS], [NAMELESS, CAT], [CAT]], [CAT, CAT, NAMELESS])
    assert (found.posts, found.posts_left_out, found.nameless_labels) == (2, 1, 1)
    assert found.ours.exact >= 0.5
    logits = torch.zeros(1, len(WNIDS))
    assert hierarchy_report(predictions([[NAMELESS]], logits), POSTS, NAMES) is None
    nobody = LabelNames([None] * 6, NAMES.information)
    assert hierarchy_report(predictions([[CAT]], logits), POSTS, nobody) is None


named = st.sampled_from([DOG, BEAGLE, CAT, PIZZA, CLIFF])
posts = st.lists(
    st.tuples(st.lists(named, min_size=1, max_size=3, unique=True), named), min_size=1, max_size=6
)


@settings(max_examples=30)  # each draws 2,000 resamples for every level
@given(posts)
def test_every_level_is_as_defined(drawn: list[tuple[list[int], int]]) -> None:
    found = judged([row for row, _ in drawn], [first for _, first in drawn])
    nouns = lexicon.load()

    def at(label: int, d: int) -> set[int]:
        synset = nouns.row(str(WNIDS[label]))
        return {s for s in [synset, *nouns.ancestors(synset)] if nouns.depth(s) == d}

    means = [interval.mean for interval in found.ours.accuracy]
    for d, mean in enumerate(means):
        right = [
            first in row
            or any(
                d <= min(depth(first), depth(label)) and at(first, d) & at(label, d)
                for label in row
            )
            for row, first in drawn
        ]  # fmt: skip
        assert mean == pytest.approx(np.mean(right))
    assert means[0] == 1
    assert means == sorted(means, reverse=True)
    assert found.ours.exact == np.mean([first in row for row, first in drawn])
