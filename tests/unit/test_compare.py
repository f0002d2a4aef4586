"""Comparing vocabularies: each kind of change by hand, and its definitions on made-up ones."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.errors import DataError, SchemaError
from hashnext.hashtags.comparison import report
from hashnext.hashtags.comparison.compare import Comparison, compare
from hashnext.hashtags.comparison.hashtags import HASHTAG_CHANGES, NOT_MET
from hashnext.hashtags.comparison.labels import CHANGES, LABEL_CHANGES, MIRROR
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, Vocabulary

RARE = "fewer than 5 posts"


@dataclass(frozen=True)
class Tag:
    """One decision: the posts of a normalised hashtag, and its label's key or a reason."""

    posts: int
    label: str | None = None
    reason: str = "no noun synset"


def vocabulary(tags: dict[str, Tag], named: tuple[str, ...] = (), **meta: Any) -> Vocabulary:
    """A vocabulary whose labels are those of the tags and `named` ones, which have no hashtag.

    A label whose key starts with "n" has that wnid and its key in capitals for a name; another has
    no wnid. A tag on two posts or more is written in two ways.
    """
    keys = sorted({tag.label for tag in tags.values() if tag.label} | set(named))
    labels = [
        {
            "label_id": index, "wnid": key if key[0] == "n" else None,
            "wnids": [key] if key[0] == "n" else [], "name": key.upper() if key[0] == "n" else key,
            "hashtags": [name for name, tag in tags.items() if tag.label == key],
            "posts": sum(tag.posts for tag in tags.values() if tag.label == key), "parents": [],
        }
        for index, key in enumerate(keys)
    ]  # fmt: skip
    decisions = [
        {
            "hashtag": written, "normalised": name, "posts": posts, "reason": tag.reason,
            "label_id": keys.index(tag.label) if tag.label else None,
        }
        for name, tag in tags.items()
        for written, posts in ((name, tag.posts - tag.posts // 2), (f"#{name}", tag.posts // 2))
        if posts or written == name
    ]  # fmt: skip
    return Vocabulary(
        pa.Table.from_pylist(labels, LABELS),
        pa.Table.from_pylist(decisions, DECISIONS),
        {"posts": 100, "labelled": 80, "source": "s"} | meta,
    )


def rows(comparison: Comparison) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in comparison.labels.to_pylist()}


def changed_tags(comparison: Comparison) -> dict[str, dict[str, Any]]:
    return {row["normalised"]: row for row in comparison.hashtags.to_pylist()}


BEFORE = vocabulary({
    "dog": Tag(50, "n-dog"), "puppy": Tag(10, "n-puppy"), "cat": Tag(40, "n-cat"),
    "lynx": Tag(6, "n-cat"), "crane": Tag(9, "n-bird"), "newt": Tag(4, "n-newt"),
    "eft": Tag(2, "n-newt"), "pasta": Tag(20, "pasta"), "kiwi": Tag(8), "love": Tag(70),
})  # fmt: skip
AFTER = vocabulary({
    "dog": Tag(50, "n-dog"), "puppy": Tag(10, "n-dog"), "cat": Tag(40, "n-cat"),
    "lynx": Tag(6, "n-lynx"), "crane": Tag(9, "n-machine"), "newt": Tag(4, None, RARE),
    "eft": Tag(2), "pasta": Tag(20, "pasta"), "kiwi": Tag(8, "n-kiwi"), "love": Tag(70),
}, labelled=75)  # fmt: skip
CHANGED = {
    "n-dog": ("merged", 50, 60, 10, ["n-dog", "n-puppy"], ["n-dog"], None),
    "n-puppy": ("merged", 10, None, None, [], ["n-dog"], None),
    "n-cat": ("split", 46, 40, -6, ["n-cat"], ["n-cat", "n-lynx"], None),
    "n-lynx": ("split", None, 6, None, ["n-cat"], [], None),
    "n-bird": ("renamed", 9, None, None, [], ["n-machine"], None),
    "n-machine": ("renamed", None, 9, None, ["n-bird"], [], None),
    "n-newt": ("lost", 6, None, None, [], [], RARE),
    "n-kiwi": ("added", None, 8, None, [], [], "no noun synset"),
    "pasta": ("kept", 20, 20, 0, ["pasta"], ["pasta"], None),
}


@pytest.mark.parametrize("key", CHANGED)
def test_each_kind_of_change(key: str) -> None:
    row = rows(compare(BEFORE, AFTER))[key]
    assert row.pop("key") == key
    assert row.pop("name") == (key.upper() if key[0] == "n" else key)
    columns = ("change", "posts_before", "posts_after", "difference", "from", "to", "reason")
    assert row == dict(zip(columns, CHANGED[key], strict=True))


def test_labels_run_by_change_then_by_posts() -> None:
    found = compare(BEFORE, AFTER).labels
    assert found.schema.equals(LABEL_CHANGES)
    assert len(found) == len(CHANGED)
    expected = "n-kiwi n-newt n-bird n-machine n-dog n-puppy n-cat n-lynx pasta"
    assert found["key"].to_pylist() == expected.split()


def test_figures() -> None:
    figures = compare(BEFORE, AFTER).figures
    none = dict.fromkeys(CHANGES, 0)
    assert figures == {
        "same_source": True,
        "labels": {
            "before": none
            | {"lost": 1, "renamed": 1, "merged": 2, "split": 1, "kept": 1, "total": 6},
            "after": none
            | {"added": 1, "renamed": 1, "merged": 1, "split": 2, "kept": 1, "total": 6},
        },
        "reasons": {"added": {"no noun synset": 1}, "lost": {RARE: 1}},
        "posts": {"before": 100, "after": 100},
        "posts_with_label": {"before": 80, "after": 75},
        "occurrences_with_label": {
            "before": 141, "lost": 6, "gained": 8, "recounted": 0, "after": 143,
        },
        "hashtags": {"gained": 1, "lost": 2, "moved": 3},
    }  # fmt: skip


def test_hashtags_whose_label_changed() -> None:
    comparison = compare(BEFORE, AFTER)
    assert comparison.hashtags.schema.equals(HASHTAG_CHANGES)
    found = changed_tags(comparison)
    assert list(found) == ["puppy", "crane", "kiwi", "lynx", "newt", "eft"]
    assert found["newt"] == {
        "change": "lost", "normalised": "newt", "posts_before": 4, "posts_after": 4,
        "label_before": "n-newt", "label_after": None, "name_before": "N-NEWT",
        "name_after": None, "reason": RARE,
    }  # fmt: skip
    assert (found["kiwi"]["change"], found["kiwi"]["reason"]) == ("gained", "no noun synset")
    assert found["lynx"]["change"] == "moved"


def test_a_label_that_gave_and_took_is_split_before_and_merged_after() -> None:
    before = vocabulary({"a": Tag(5, "n-1"), "b": Tag(4, "n-1"), "c": Tag(3, "n-2")})
    after = vocabulary({"a": Tag(5, "n-1"), "b": Tag(4, "n-3"), "c": Tag(3, "n-1")})
    comparison = compare(before, after)
    assert {key: row["change"] for key, row in rows(comparison).items()} == {
        "n-1": "split and merged", "n-2": "merged", "n-3": "split",
    }  # fmt: skip
    labels = comparison.figures["labels"]
    assert (labels["before"]["split"], labels["before"]["merged"]) == (1, 1)
    assert (labels["after"]["split"], labels["after"]["merged"]) == (1, 1)


def test_on_other_posts_a_synset_stays_itself_under_other_spellings() -> None:
    before = vocabulary({"dog": Tag(9, "n-dog"), "asp": Tag(8, "n-asp"), "cat": Tag(1, "n-cat")})
    after = vocabulary({"dogs": Tag(7, "n-dog"), "cat": Tag(5, "n-cat")}, source="other")
    comparison = compare(before, after)
    assert {key: row["change"] for key, row in rows(comparison).items()} == {
        "n-dog": "kept", "n-cat": "kept", "n-asp": "lost",
    }  # fmt: skip
    assert rows(comparison)["n-asp"]["reason"] == NOT_MET
    tags = changed_tags(comparison)
    assert (tags["dog"]["posts_after"], tags["dogs"]["posts_before"]) == (None, None)
    assert comparison.figures["same_source"] is False
    assert comparison.figures["occurrences_with_label"] == {
        "before": 18, "lost": 17, "gained": 7, "recounted": 4, "after": 12,
    }  # fmt: skip


def test_the_reason_of_a_loss_is_that_of_most_occurrences() -> None:
    before = vocabulary(
        {name: Tag(posts, "n-1") for name, posts in {"a": 2, "b": 2, "c": 3}.items()}
    )
    reasons = {"a": RARE, "b": RARE, "c": "no noun synset"}
    after = vocabulary({name: Tag(1, None, reason) for name, reason in reasons.items()})
    assert rows(compare(before, after))["n-1"]["reason"] == RARE


def test_a_label_gets_a_synset_that_names_it() -> None:
    before, after = vocabulary({"pho": Tag(5, "pho")}), vocabulary({"pho": Tag(5, "n-pho")})
    found = rows(compare(before, after))
    assert (found["pho"]["change"], found["pho"]["to"]) == ("renamed", ["n-pho"])


def test_labels_of_one_key_are_refused() -> None:
    twice = vocabulary({"a": Tag(5, "pho"), "b": Tag(5, "pie")})
    names = pa.array(["pho", "pho"])
    table = twice.labels.set_column(LABELS.get_field_index("name"), "name", names)
    with pytest.raises(DataError, match="two labels are called 'pho'"):
        compare(replace(twice, labels=table), twice)


def test_a_vocabulary_without_counts_is_refused() -> None:
    with pytest.raises(SchemaError, match="lacks the count 'labelled'"):
        compare(BEFORE, replace(AFTER, meta={"posts": 100}))


def test_the_report_names_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(compare(BEFORE, AFTER))
    shown = " ".join(capsys.readouterr().out.split())
    for cell in (
        "from N-DOG, N-PUPPY", "into N-CAT, N-LYNX", "was N-BIRD", RARE, "lost (hashtags: 2)",
        "N-CAT → N-LYNX", f"N-NEWT → ({RARE})", "(no noun synset) → N-KIWI",
    ):  # fmt: skip
        assert cell in shown


def test_names_that_labels_share_are_shown_with_their_keys() -> None:
    found = report.names([
        {"key": "n1", "name": "crane"}, {"key": "n2", "name": "crane"}, {"key": "n3", "name": "asp"}
    ])  # fmt: skip
    assert found == {"n1": "crane (n1)", "n2": "crane (n2)", "n3": "asp"}


AT_ANY_SPEED = settings(deadline=None)
KEYS = ("n-1", "n-2", "n-3", "n-4", "pho", "pie")
TAGS = st.builds(
    Tag, st.integers(0, 9), st.none() | st.sampled_from(KEYS), st.sampled_from([RARE, "abstract"])
)
MADE_UP = st.builds(
    vocabulary,
    st.dictionaries(st.sampled_from("abcdefgh"), TAGS),
    st.lists(st.sampled_from(KEYS), max_size=2).map(tuple),
    posts=st.integers(50, 60), labelled=st.integers(0, 50), source=st.sampled_from("pq"),
)  # fmt: skip


def tags_of(vocabulary: Vocabulary) -> dict[str, set[str]]:
    """Hashtags of each label, by key."""
    keys = [row["wnid"] or row["name"] for row in vocabulary.labels.to_pylist()]
    found: dict[str, set[str]] = {key: set() for key in keys}
    for row in vocabulary.decisions.to_pylist():
        if row["label_id"] is not None:
            found[keys[row["label_id"]]].add(row["normalised"])
    return found


@AT_ANY_SPEED
@given(MADE_UP, MADE_UP)
def test_every_label_falls_into_one_change_by_its_definition(
    before: Vocabulary, after: Vocabulary
) -> None:
    one, other = tags_of(before), tags_of(after)
    to = {key: {k for k in other if k == key or tags & other[k]} for key, tags in one.items()}
    origin = {key: {k for k in one if k == key or tags & one[k]} for key, tags in other.items()}
    comparison = compare(before, after)
    found = rows(comparison)
    assert found.keys() == one.keys() | other.keys()
    assert len(found) == comparison.labels.num_rows
    alone = {key: k for key in one if len(to[key]) == 1 for k in to[key] if origin[k] == {key}}
    defined: dict[str, dict[str, set[str]]] = {
        "before": {
            "lost": {key for key in one if not to[key]},
            "split": {key for key in one if len(to[key]) > 1},
            "kept": {key for key in alone if alone[key] == key},
            "renamed": {key for key in alone if alone[key] != key},
        },
        "after": {
            "added": {key for key in other if not origin[key]},
            "merged": {key for key in other if len(origin[key]) > 1},
            "kept": {key for key in alone.values() if key in alone and alone[key] == key},
            "renamed": {k for key, k in alone.items() if k != key},
        },
    }
    for side, keys in (("before", one), ("after", other)):
        counts = comparison.figures["labels"][side]
        assert counts["total"] == len(keys) == sum(counts[change] for change in CHANGES)
        for change, expected in defined[side].items():
            assert {key for key in keys if change in found[key]["change"].split()} == expected
            assert counts[change] == len(expected)
    for key, row in found.items():
        assert set(row["to"]) == to.get(key, set())
        assert set(row["from"]) == origin.get(key, set())
        assert (row["difference"] is not None) == (key in one and key in other)


@AT_ANY_SPEED
@given(MADE_UP)
def test_a_vocabulary_compared_with_itself_has_not_changed(same: Vocabulary) -> None:
    comparison = compare(same, same)
    assert set(comparison.labels["change"].to_pylist()) <= {"kept"}
    assert not any(comparison.labels["difference"].to_pylist())
    assert comparison.hashtags.num_rows == 0
    figures = comparison.figures
    assert figures["labels"]["before"] == figures["labels"]["after"]
    assert figures["labels"]["before"]["kept"] == same.num_labels


@AT_ANY_SPEED
@given(MADE_UP, MADE_UP)
def test_exchanging_the_vocabularies_mirrors_the_comparison(
    before: Vocabulary, after: Vocabulary
) -> None:
    there, back = compare(before, after), compare(after, before)
    mirrored = rows(back)
    for key, row in rows(there).items():
        expected = mirrored[key]
        assert {MIRROR[part] for part in row["change"].split() if part in MIRROR} == {
            part for part in expected["change"].split() if part in MIRROR
        }
        assert (row["from"], row["to"]) == (expected["to"], expected["from"])
        assert (row["posts_before"], row["posts_after"], row["reason"]) == (
            expected["posts_after"], expected["posts_before"], expected["reason"],
        )  # fmt: skip
    for side, other in (("before", "after"), ("after", "before")):
        counts = there.figures["labels"][side]
        assert {MIRROR.get(change, change): n for change, n in counts.items()} == (
            back.figures["labels"][other]
        )
    swap = {"gained": "lost", "lost": "gained", "moved": "moved"}
    assert {tag: swap[row["change"]] for tag, row in changed_tags(there).items()} == {
        tag: row["change"] for tag, row in changed_tags(back).items()
    }


@AT_ANY_SPEED
@given(MADE_UP, MADE_UP)
def test_occurrences_and_hashtags_add_up(before: Vocabulary, after: Vocabulary) -> None:
    comparison = compare(before, after)
    counts = comparison.figures["occurrences_with_label"]
    assert (
        counts["before"] - counts["lost"] + counts["gained"] + counts["recounted"]
        == (counts["after"])
    )
    for side, found in (("before", before), ("after", after)):
        decisions = found.decisions.to_pylist()
        assert counts[side] == sum(r["posts"] for r in decisions if r["label_id"] is not None)
    changed = comparison.hashtags.to_pylist()
    by_change = Counter(row["change"] for row in changed)
    assert comparison.figures["hashtags"] == {c: by_change[c] for c in ("gained", "lost", "moved")}
    one, other = (
        {tag: key for key, tags in tags_of(v).items() for tag in tags} for v in (before, after)
    )
    assert {row["normalised"] for row in changed} == {
        tag for tag in one.keys() | other.keys() if one.get(tag) != other.get(tag)
    }
    assert all(row["reason"] for row in changed)
