"""How tags are used: counts against a slow reading of their definition, and the figures by hand."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags.aliases import ALIKE, COMPANY, NAMELESS, alike, find, with_findings
from hashnext.hashtags.count import CountCompany, CountUse
from hashnext.hashtags.usage import Base, Run, Use, wilson_lower
from hashnext.hashtags.view import make_view, numbering
from hashnext.hashtags.vocabulary import DECISIONS
from hashnext.posts.tags import encode
from tests.conftest import lists, tiny_vocabulary

TAGS = numbering(["doggo", "tbt"])
LABELS = make_view({"dog": 0, "cat": 1, "pup": 0}, lists([["d"], ["c"]]), lists([[], []]))
BASE = Base(np.array([400.0, 100.0]), 1000)
WORDS = st.sampled_from(["Doggo", "tbt", "#dog", "pup", "cat", "other"])


@given(st.lists(st.lists(WORDS, max_size=5), max_size=12))
def test_counts_are_those_of_the_definition(posts: list[list[str]]) -> None:
    use, company = Counter[int](), Counter[int]()
    for tags in posts:
        plain = {tag.lower().strip("#") for tag in tags}
        labels = {LABELS.label_of[tag] for tag in plain if tag in LABELS.label_of}
        entities = {TAGS.label_of[tag] for tag in plain if tag in TAGS.label_of} | {2}
        use.update(entity * 2 + label for entity in entities for label in labels)
        company.update(label for label in labels if 1 in labels)
    lists_of_tags = encode(lists(posts))
    for count, expected in (
        (CountUse(TAGS, LABELS), use), (CountCompany(LABELS, np.array([1])), company)
    ):  # fmt: skip
        assert dict(zip(*count(lists_of_tags).to_pydict().values(), strict=True)) == expected


def run(*posts: int) -> Run:
    """Posts with each label, those that are met."""
    found = np.array(posts)
    labels = np.flatnonzero(found)
    return labels, found[labels]


def test_a_tag_beside_everything_spreads_evenly() -> None:
    assert BASE.spread(run(400, 100)) == pytest.approx(1.0)


def test_a_tag_beside_one_label_spreads_over_its_share() -> None:
    assert BASE.spread(run(0, 50)) == pytest.approx(0.2)


def test_nearest_label_and_association() -> None:
    use = BASE.use("doggo", 50, run(30, 40))
    assert (use.label, use.together, use.chance) == (1, 40, 0.1)
    assert use.association == pytest.approx(wilson_lower(np.array([40]), 50)[0])
    assert 0.65 < use.association < 0.8


def test_the_same_company_is_alike_and_another_is_not() -> None:
    base = Base(np.array([100.0, 100.0, 100.0, 100.0]), 1000)
    theirs = base.information(run(90, 5, 5, 7), 3)
    assert base.similarity(run(90, 5, 5, 7), theirs, 3) == pytest.approx(1.0)
    assert base.similarity(run(0, 90, 0, 50), theirs, 3) == 0.0
    assert base.similarity(run(0, 0, 0, 50), theirs, 3) == 0.0


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
