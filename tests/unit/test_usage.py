"""How tags are used: counts against a slow reading of their definition, and the figures by hand."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags.aliases import ALIKE, COMPANY, NAMELESS, alike, find, with_findings
from hashnext.hashtags.usage import CountUse, Use, _Company, wilson_lower
from hashnext.hashtags.view import make_view
from hashnext.hashtags.vocabulary import DECISIONS
from hashnext.posts.tags import encode
from tests.conftest import tiny_vocabulary

TAGS = make_view({"doggo": 0, "tbt": 1}, [[], []], [[], []])
LABELS = make_view({"dog": 0, "cat": 1, "pup": 0}, [["d"], ["c"]], [[], []])
WORDS = st.sampled_from(["Doggo", "tbt", "#dog", "pup", "cat", "other"])


@given(st.lists(st.lists(WORDS, max_size=5), max_size=12))
def test_counts_are_those_of_the_definition(posts: list[list[str]]) -> None:
    expected: Counter[int] = Counter()
    for tags in posts:
        plain = {tag.lower().strip("#") for tag in tags}
        labels = {LABELS.label_of[tag] for tag in plain if tag in LABELS.label_of}
        entities = {TAGS.label_of[tag] for tag in plain if tag in TAGS.label_of}
        pairs = {(entity, label) for entity in entities for label in labels}
        pairs |= {(2 + one, label) for one in labels for label in labels if one <= label}
        expected.update(entity * 2 + label for entity, label in pairs)
    table = CountUse(TAGS, LABELS)(encode(pa.array(posts, pa.list_(pa.string()))))
    assert dict(zip(*table.to_pydict().values(), strict=True)) == expected


def company(*rows: list[int]) -> _Company:
    """Entities' posts with each of two labels, over 1,000 posts; the last two are the labels."""
    posts = np.array(rows)
    entities, labels = np.nonzero(posts)
    starts = np.searchsorted(entities, np.arange(len(rows) + 1))
    base = np.array([400.0, 100.0])
    return _Company(starts, labels, posts[entities, labels], base, 1000)


def test_a_tag_beside_everything_spreads_evenly() -> None:
    assert company([400, 100]).spread(0) == pytest.approx(1.0)


def test_a_tag_beside_one_label_spreads_over_its_share() -> None:
    assert company([0, 50]).spread(0) == pytest.approx(0.2)


def test_nearest_label_and_association() -> None:
    use = company([30, 40], [400, 0], [0, 100]).use(0, "doggo", 50, 1)
    assert (use.label, use.together, use.chance) == (1, 40, 0.1)
    assert use.association == pytest.approx(wilson_lower(np.array([40]), 50)[0])
    assert 0.65 < use.association < 0.8


def test_wilson_by_hand() -> None:
    p, n, z = 0.8, 50, 1.96
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson_lower(np.array([40]), 50)[0] == pytest.approx((centre - half) / (1 + z * z / n))
    assert wilson_lower(np.array([0]), 50)[0] == pytest.approx(0.0)


def use(**figures: object) -> Use:
    start = {"tag": "doggo", "posts": 200, "spread": 0.2, "label": 1, "together": 100,
             "association": 0.4, "chance": 0.1, "similarity": 0.9}  # fmt: skip
    return Use(**(start | figures))  # type: ignore[arg-type]  # figures of the right types


def test_what_the_evidence_makes_of_a_tag() -> None:
    def rule(figures: Use, nameless: bool = False) -> str | None:
        found = find(figures, "dog", ["dog"], nameless)
        return found.rule if found else None

    assert rule(use()) == ALIKE
    assert rule(use(association=0.2)) is None
    assert rule(use(tag="canine", association=0.7, mutual=True)) == COMPANY
    assert rule(use(tag="canine", association=0.7)) is None
    assert rule(use(tag="canine", association=0.7, mutual=True, posts=99)) is None
    assert rule(use(tag="canine", spread=0.01)) is None
    assert rule(use(tag="canine", spread=0.01), nameless=True) == NAMELESS


@given(st.text("dogpuy", max_size=8), st.text("dogpuy", max_size=8))
def test_alike_is_symmetric(one: str, other: str) -> None:
    assert alike(one, other) == alike(other, one)


def test_alike() -> None:
    assert alike("doggo", "dog")
    assert alike("puppers", "puppy")
    assert not alike("do", "do")
    assert not alike("dogmatic", "dog")
    assert not alike("hotdog", "dog")


def test_findings_reach_labels_and_decisions() -> None:
    before = tiny_vocabulary()
    pizza = before.decisions.to_pylist()
    target = next(row["label_id"] for row in pizza if row["hashtag"] == "pizza")
    extra = [row | {"hashtag": tag, "normalised": tag, "label_id": None, "rule": "none",
                    "reason": "no noun synset"}
             for row, tag in zip(pizza[:2], ("pizzza", "airmax"), strict=True)]  # fmt: skip
    table = pa.Table.from_pylist(pizza + extra, DECISIONS)
    start = type(before)(before.labels, table, before.meta)
    alias = find(use(tag="pizzza", label=target), "pizza", ["pizza"], nameless=False)
    own = find(use(tag="airmax", spread=0.01, association=0.0), "pizza", [], nameless=True)
    assert alias
    assert own
    after = with_findings(start, {"pizzza": alias, "airmax": own})
    rows = {row["hashtag"]: row for row in after.decisions.to_pylist()}
    labels = after.labels.to_pylist()
    assert rows["pizzza"]["label_id"] == target
    assert rows["pizzza"]["rule"] == ALIKE
    assert "pizzza" in labels[target]["hashtags"]
    named = labels[rows["airmax"]["label_id"]]
    assert (named["wnid"], named["wnids"], named["name"]) == (None, [], "airmax")
    assert after.view().label_of["airmax"] == before.num_labels
