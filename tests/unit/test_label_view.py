"""The view against a slow reading of its definition, and its corner cases."""

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.hashtags.view import LabelView, Specificity, make_view
from hashnext.posts.tags import encode
from tests.conftest import lists

VIEW = make_view(
    {"dog": 0, "cat": 1, "beagle": 2, "animal": 3, "dogs": 0},
    lists([["n-dog"], ["n-cat"], ["n-beagle"], ["n-animal"]]),
    lists([["n-animal", "n-entity"], ["n-animal"], ["n-dog", "n-animal"], []]),
)
ABOVE = {0: {3}, 1: {3}, 2: {0, 3}, 3: set[int]()}
TAGS = st.sampled_from(["#Dog", "dogs", "CAT", "b_eagle", "animal", "love", "", "#🐶"])
POSTS = st.lists(st.none() | st.lists(st.none() | TAGS))


def rows(view: LabelView, posts: pa.ListArray | pa.ChunkedArray) -> list[list[int]]:
    offsets, ids = view.assign(posts)
    assert (offsets.dtype, ids.dtype) == (np.int64, np.int32)
    return [ids[a:b].tolist() for a, b in pairwise(offsets)]


@given(POSTS)
def test_assign_is_unique_sorted_and_without_ancestors(
    posts: list[list[str | None] | None],
) -> None:
    expected = []
    for tags in posts:
        keys = [tag.lower().strip("#").replace("_", "") for tag in tags or [] if tag]
        labels = {VIEW.label_of[key] for key in keys if key in VIEW.label_of}
        expected.append(sorted(labels - set().union(*(ABOVE[label] for label in labels))))
    assert rows(VIEW, lists(posts)) == expected


@given(POSTS, st.integers(0, 3))
def test_slices_and_chunks_do_not_matter(posts: list[list[str | None] | None], cut: int) -> None:
    whole = lists(posts)
    chunks = pa.chunked_array([whole[:cut], whole[cut:]], whole.type)
    assert rows(VIEW, chunks) == rows(VIEW, whole)
    assert rows(VIEW, whole[cut:]) == rows(VIEW, whole)[cut:]


@pytest.mark.parametrize("policy", ["keep", "weight"])
def test_other_policies_keep_hypernyms(policy: Specificity) -> None:
    view = replace(VIEW, specificity=policy)
    assert rows(view, lists([["beagle", "dog"], ["animal"]])) == [[0, 2], [3]]


@given(POSTS, st.sampled_from(["drop_ancestors", "keep", "weight"]))
def test_a_post_shows_its_labels_and_all_above_them(
    posts: list[list[str | None] | None], policy: Specificity
) -> None:
    view = replace(VIEW, specificity=policy)
    (offsets, ids), shown = view.label_and_shown(encode(lists(posts)))
    own = [set(part.tolist()) for part in np.split(ids, offsets[1:-1])]
    expected = [label for labels in own for label in labels.union(*(ABOVE[x] for x in labels))]
    assert [set(row) for row in rows(view, lists(posts))] == own[: len(posts)]
    assert sorted(shown.tolist()) == sorted(expected)


def test_no_posts_and_no_labels() -> None:
    assert rows(VIEW, lists([])) == []
    assert rows(make_view({}, lists([]), lists([])), lists([["dog"], None])) == [[], []]


def test_a_view_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(VIEW))
    assert rows(copy, lists([["dog", "beagle"]])) == [[2]]


def test_encode_leaves_nulls_out() -> None:
    found = encode(lists([["a", None, "b"], None, ["a"]]))
    assert (found.rows.tolist(), found.size) == ([0, 0, 2], 3)
    assert found.distinct.take(pa.array(found.codes)).to_pylist() == ["a", "b", "a"]
