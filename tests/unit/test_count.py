"""Counting against a slow reading of its definition, however the posts are cut into units."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.hashtags import corpus as corpora
from hashnext.hashtags.corpus import lists_of, make_share
from hashnext.hashtags.count import (
    CountCompany,
    CountLabels,
    CountTags,
    CountTogether,
    CountUse,
    Tally,
    tally,
    total,
)
from hashnext.hashtags.view import make_view, numbering
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import ENCODED_TAGS
from hashnext.posts.tags import encoded
from hashnext.posts.tar import TarShard
from tests.conftest import lists

Tags = list[str | None] | None
NAMES = ["dog", "Dog", "cat", "animal", "日本", ""]
POSTS = st.lists(
    st.tuples(st.none() | st.lists(st.none() | st.sampled_from(NAMES), max_size=5), st.booleans()),
    min_size=1, max_size=60,
)  # fmt: skip
VIEW = make_view(
    {"dog": 0, "cat": 1, "animal": 2}, lists([["d"], ["c"], ["a"]]), lists([["a"], ["a"], []])
)
PLAIN = numbering(["dog", "cat", "animal"])
TALLIES = [
    CountTags(), CountLabels(VIEW), CountTogether(PLAIN, np.array([0, 1, 2, 4, 8])),
    CountUse(PLAIN, VIEW), CountCompany(VIEW, np.array([1])),
]  # fmt: skip


def write(folder: Path, posts: list[tuple[Tags, bool]], row_group: int) -> PostSource:
    tags, public = zip(*posts, strict=True)
    table = pa.table({
        "post_id": [f"p{number}" for number in range(len(posts))],
        "hashtags": pa.array(tags, pa.list_(pa.string())), "public": pa.array(public),
    })  # fmt: skip
    pq.write_table(table, folder / "posts.parquet", row_group_size=row_group)
    return PostSource.open(folder)


def counted(source: PostSource, count: Tally) -> pa.Table:
    """The sum over units, each of them a share."""
    tables = (source.public_tags(unit) for unit in source.units)
    shares = (make_share(t["hashtags"], ~held_out(post_keys(t["post_id"]))) for t in tables)
    return (
        total(count(lists) for share in shares for lists in lists_of(share))
        .sort_by("key")
        .combine_chunks()
    )


def expected(posts: list[tuple[Tags, bool]]) -> dict[str | None, int]:
    """Posts per tag, 0 where only held-out posts carry it, and all of them."""
    out = held_out(post_keys(pa.array([f"p{number}" for number in range(len(posts))])))
    found: Counter[str | None] = Counter({None: 0})
    for (tags, public), away in zip(posts, out, strict=True):
        if public:
            found.update({tag: int(not away) for tag in {*(tags or [])} - {None}})
            found[None] += int(not away)
    return dict(found)


@settings(deadline=None, max_examples=40)  # it writes and opens files
@given(POSTS, st.integers(1, 60))
def test_the_cut_into_row_groups_changes_no_count(
    posts: list[tuple[Tags, bool]], row_group: int
) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as many:
        whole, cut = write(Path(one), posts, 60), write(Path(many), posts, row_group)
        for count in TALLIES:
            assert counted(cut, count).equals(counted(whole, count))
        counts = counted(cut, CountTags())
    assert dict(zip(*counts.to_pydict().values(), strict=True)) == expected(posts)


@given(st.lists(st.none() | st.integers(1, 300_000), min_size=1, max_size=20))
def test_every_unit_is_in_one_share_of_bounded_size(rows: list[int | None]) -> None:
    units = [TarShard(name="posts.tar", rows=count) for count in rows]
    shares = corpora.share_out(units)
    assert [unit for share in shares for unit in share] == list(range(len(units)))
    for share in shares:
        sizes = [corpora.SHARE_POSTS if rows[i] is None else rows[i] for i in share]
        assert sum(sizes) < corpora.SHARE_POSTS + max(sizes)


def test_ray_finds_the_same(
    tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts: list[tuple[Tags, bool]] = [
        (["dog", "animal"], True), (["cat", "cat", None], True), (None, True), (["secret"], False)
    ] * 20  # fmt: skip
    source = write(tmp_path, posts, 7)
    monkeypatch.setattr(corpora, "SHARE_POSTS", 10)
    assert len(corpora.share_out(source.units)) > 5
    corpus = corpora.read_corpus(source)
    for count in TALLIES:
        assert tally(corpus, count).combine_chunks().equals(counted(source, count))


@pytest.mark.parametrize("values", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_encoded_tags_are_the_same_lists(values: pa.DataType) -> None:
    lists = pa.array([["b", None, "a", "b"], None, [], ["secret"], ["a"]], pa.list_(values))
    found = encoded(pa.chunked_array([lists[:3], lists[4:]]))
    assert found.type == ENCODED_TAGS
    assert found.to_pylist() == [["b", "a", "b"], [], [], ["a"]]
    assert sorted(found.values.dictionary.to_pylist()) == ["a", "b"]


@pytest.mark.parametrize("kind", [
    pa.list_(pa.large_string()), pa.large_list(pa.string()), pa.list_(pa.string(), 2),
])  # fmt: skip
def test_all_kinds_of_lists_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    tags = pa.array([["dog", "cat"], ["cat", None], ["dog", "secret"]], kind)
    table = pa.table({"post_id": [1, 2, 3], "hashtags": tags, "public": [True, True, False]})
    pq.write_table(table, tmp_path / "posts.parquet")
    source = PostSource.open(tmp_path)
    found = source.public_tags(source.units[0])
    assert found.to_pydict() == {"post_id": ["1", "2"], "hashtags": [["dog", "cat"], ["cat"]]}
    assert "secret" not in str(found["hashtags"].chunk(0).values.dictionary)


def test_captions_are_read(tmp_path: Path) -> None:
    table = pa.table(
        {"post_id": ["a", "b"], "caption": ["my #dog", "#secret"], "public": [True, None]}
    )
    pq.write_table(table, tmp_path / "posts.parquet")
    source = PostSource.open(tmp_path)
    assert source.public_tags(source.units[0])["hashtags"].to_pylist() == [["dog"]]
