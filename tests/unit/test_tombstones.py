"""Posts taken down: recorded once, private to every reader, and part of what a source is."""

import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext import cluster
from hashnext.errors import ConfigError, DataError, SchemaError
from hashnext.posts.fetch import FetchConfig
from hashnext.posts.id_list import read_post_ids
from hashnext.posts.readers import PostSource
from hashnext.posts.tombstones import (
    TOMBSTONES,
    Tombstones,
    first_recorded_after,
    latest,
    taken_out_of,
)
from hashnext.shards.part import PartBuilder, PrepareConfig, Rejection

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORIGIN = {"shards": "/data/shards", "before": "b" * 64, "after": "a" * 64}
POSTS = pa.table({
    "post_id": ["one", "two", "three"], "image": [b"1", b"2", b"3"],
    "hashtags": [["dog"], ["secret", "dog"], ["cat"]], "public": [True, True, False],
})  # fmt: skip


def bury(tombstones: Tombstones, *absent: str) -> None:
    tombstones.bury([], absent, ORIGIN, NOW)


def source_of(path: Path, table: pa.Table = POSTS) -> PostSource:
    pq.write_table(table, path, row_group_size=2)
    return PostSource.open(str(path))


def test_without_tombstones_nothing_is_read_and_nothing_changes(
    tombstones: Tombstones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HASHNEXT_TOMBSTONES")
    monkeypatch.setenv("HASHNEXT_HOME", str(tmp_path / "nowhere"))
    source = source_of(tmp_path / "posts.parquet")
    assert len(source.tombstoned) == 0
    assert len(source.fingerprint) == 64
    assert not (tmp_path / "nowhere").exists()


def test_a_record_holds_when_where_and_both_fingerprints(tombstones: Tombstones) -> None:
    tombstones.bury(["in"], ["out"], ORIGIN, NOW)
    assert tombstones.table().to_pylist() == [
        {"post_id": "in", "time": NOW, **ORIGIN},
        {"post_id": "out", "time": NOW, "shards": "/data/shards", "before": None, "after": None},
    ]
    assert tombstones.table().schema == TOMBSTONES
    assert tombstones.ids().to_pylist() == ["in", "out"]


def test_the_same_takedown_is_recorded_once(tombstones: Tombstones) -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)
    for now in (NOW, later):
        tombstones.bury(["in"], ["out"], ORIGIN, now)
    tombstones.bury([], ["in"], ORIGIN, later)
    assert len(tombstones.folder.names()) == 1
    tombstones.bury(["out"], [], ORIGIN, later)  # other shards did hold it
    assert len(tombstones.folder.names()) == 2
    assert tombstones.ids().to_pylist() == ["in", "out"]


def test_what_shards_have_lost_is_found_back_through_their_takedowns() -> None:
    rows = [
        {"post_id": post_id, "time": NOW, "shards": "/shards", "before": before, "after": after}
        for post_id, before, after in (
            ("p", "A", "B"), ("q", "B", "C"), ("r", "C", "D"), ("s", None, None), ("t", "X", "Y")
        )
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, TOMBSTONES)
    assert taken_out_of(table, "C") == {"p", "q"}
    assert taken_out_of(table, "A") == set()


def test_posts_are_counted_from_their_first_record_on() -> None:
    times = [("early", 1), ("late", 2), ("early", 3), ("latest", 3)]
    table = pa.Table.from_pylist(
        [{"post_id": post_id, "time": NOW.replace(day=day)} for post_id, day in times], TOMBSTONES
    )
    assert latest(TOMBSTONES.empty_table()) is None
    assert first_recorded_after(table, None) == {"early", "late", "latest"}
    assert first_recorded_after(table, latest(table.slice(0, 1))) == {"late", "latest"}
    assert first_recorded_after(table, latest(table)) == set()


def test_a_tombstoned_post_is_private_to_every_reader(
    tombstones: Tombstones, tmp_path: Path
) -> None:
    bury(tombstones, "two", "of other posts")
    source = source_of(tmp_path / "posts.parquet")
    assert source.tombstoned.to_pylist() == ["two"]
    fields = ["image", "hashtags", "public"]
    rows = [row for unit in source.units for row in source.read(unit, fields).to_pylist()]
    assert rows[0] == {"image": b"1", "hashtags": ["dog"], "public": True}
    assert rows[1] == rows[2] == {"image": None, "hashtags": [], "public": False}
    tags = source.public_tags(source.units[0])
    assert tags["post_id"].to_pylist() == ["one"]
    lists = tags["hashtags"].combine_chunks()
    assert lists.flatten().dictionary.to_pylist() == ["dog"]


def test_assume_public_does_not_bring_it_back(tombstones: Tombstones, tmp_path: Path) -> None:
    bury(tombstones, "two")
    pq.write_table(POSTS.drop_columns("public"), tmp_path / "posts.parquet")
    source = PostSource.open(str(tmp_path / "posts.parquet"), assume_public=True)
    found = source.read(source.units[0], ["hashtags", "public"]).to_pylist()
    assert [row["public"] for row in found] == [True, False, True]
    assert found[1]["hashtags"] == []


def test_the_fingerprint_changes_for_sources_that_hold_the_post(
    tombstones: Tombstones, tmp_path: Path
) -> None:
    path = tmp_path / "posts.parquet"
    before = source_of(path).fingerprint
    bury(tombstones, "elsewhere")
    assert source_of(path).fingerprint == before
    bury(tombstones, "two")
    one = source_of(path).fingerprint
    assert one.startswith(f"{before}-without-1-tombstoned-")
    bury(tombstones, "three")
    assert source_of(path).fingerprint not in (before, one)


def test_lines_are_looked_through_and_tars_fear_every_tombstone(
    tombstones: Tombstones, tmp_path: Path
) -> None:
    post = {"post_id": 7, "hashtags": ["dog"], "public": True}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post) + "\n")
    with tarfile.open(tmp_path / "posts.tar", "w") as tar:
        for name, data in (("a.json", json.dumps(post).encode()), ("a.jpg", b"image")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    bury(tombstones, "elsewhere")
    assert PostSource.open(str(tmp_path / "posts.jsonl")).tombstoned.to_pylist() == []
    assert PostSource.open(str(tmp_path / "posts.tar")).tombstoned.to_pylist() == ["elsewhere"]
    bury(tombstones, "7")
    assert PostSource.open(str(tmp_path / "posts.jsonl")).tombstoned.to_pylist() == ["7"]
    source = PostSource.open(str(tmp_path / "posts.tar"))
    assert source.read(source.units[0], ["image", "hashtags"]).to_pylist() == [
        {"image": None, "hashtags": []}
    ]


def test_a_part_names_its_reason(tombstones: Tombstones, tmp_path: Path) -> None:
    bury(tombstones, "two", "three")
    source = source_of(tmp_path / "posts.parquet")
    builder = PartBuilder(PrepareConfig(), tombstoned=frozenset(source.tombstoned.to_pylist()))
    for unit in source.units:
        posts = source.read(unit, source.without_images())
        builder.add(posts, source.images(posts, FetchConfig(), 1 << 20))
    assert builder.rejections[1:] == [
        Rejection("two", "gate", "tombstoned", "taken down"),
        Rejection("three", "gate", "tombstoned", "taken down"),
    ]


def test_a_shared_folder_that_is_not_there_stops_every_reader(
    tombstones: Tombstones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHNEXT_TOMBSTONES", str(tmp_path / "unmounted"))
    with pytest.raises(ConfigError, match=r"HASHNEXT_TOMBSTONES = .*unmounted.*no such folder"):
        source_of(tmp_path / "posts.parquet")


def test_a_shared_folder_may_be_a_uri(
    tombstones: Tombstones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHNEXT_TOMBSTONES", Path(tombstones.folder.path).as_uri())
    bury(Tombstones.open(), "two")
    assert source_of(tmp_path / "posts.parquet").tombstoned.to_pylist() == ["two"]


def test_several_nodes_need_a_place_that_somebody_has_named(
    tombstones: Tombstones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "is_shared", lambda: True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.test")
    monkeypatch.delenv("HASHNEXT_HOME")
    cluster.require_shared_locations(posts="/posts")
    monkeypatch.delenv("HASHNEXT_TOMBSTONES")
    with pytest.raises(ConfigError, match=r"HASHNEXT_TOMBSTONES = .*name the shared one"):
        cluster.require_shared_locations(posts="/posts")


@pytest.mark.parametrize("data", [b"PAR1 but cut", b""])
def test_a_tombstone_that_cannot_be_read_stops_every_reader(
    tombstones: Tombstones, tmp_path: Path, data: bytes
) -> None:
    tombstones.folder.write_bytes("broken.parquet", data)
    with pytest.raises(DataError, match=r"broken\.parquet: cannot be read"):
        source_of(tmp_path / "posts.parquet")


@pytest.mark.parametrize("text", [b"b\na\nb\n", b"\xef\xbb\xbfb\r\n\r\n  a  \r\n"])
def test_ids_are_read_from_text(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "ids").write_bytes(text)
    assert read_post_ids(str(tmp_path / "ids")) == ["b", "a"]


@pytest.mark.parametrize("values", [["8", "7"], [8, 7], pa.array(["8", "7"]).dictionary_encode()])
def test_ids_are_read_from_parquet(tmp_path: Path, values: object) -> None:
    pq.write_table(pa.table({"post_id": values}), tmp_path / "ids")
    assert read_post_ids((tmp_path / "ids").as_uri()) == ["8", "7"]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (None, DataError, "there is no such file"),
        (b"", DataError, "holds no ids"),
        (b"\n \n", DataError, "holds no ids"),
        (b"\xff\xfe", DataError, "neither UTF-8 text nor Parquet"),
        (b"PAR1 but cut", DataError, "cannot be read as Parquet"),
        ({"id": ["a"]}, SchemaError, "no column 'post_id'"),
        ({"post_id": [1.5]}, SchemaError, "'post_id' is double, wanted text or integers"),
        ({"post_id": ["a", None]}, SchemaError, "null or empty id"),
    ],
)
def test_what_is_no_list_of_ids_is_refused(
    tmp_path: Path, content: object, kind: type[Exception], message: str
) -> None:
    path = tmp_path / "ids"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        pq.write_table(pa.table(content), path)
    with pytest.raises(kind, match=rf"--post-ids {path}: .*{message}"):
        read_post_ids(str(path))
