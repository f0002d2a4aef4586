"""Locations: what lies inside, above and at the end of a path or URI, and folders made of them."""

import pickle
from pathlib import Path

import pytest

from hashnext.errors import ConfigError
from hashnext.storage import Folder, base_name, inside, locate, parent

QUERY = "endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("/data/posts", "a.parquet", "/data/posts/a.parquet"),
        ("/data/posts/", "b c/50%?.parquet", "/data/posts/b c/50%?.parquet"),
        ("/data/odd?name", "a", "/data/odd?name/a"),
        ("s3://bucket", "a", "s3://bucket/a"),
        ("s3://bucket/posts", "year=2020/a.parquet", "s3://bucket/posts/year=2020/a.parquet"),
        (f"s3://bucket/posts/?{QUERY}", "a b?.jpg", f"s3://bucket/posts/a%20b%3F.jpg?{QUERY}"),
    ],
)
def test_what_lies_inside_and_back(folder: str, name: str, expected: str) -> None:
    location = inside(folder, name)
    assert location == expected
    for _ in range(name.count("/") + 1):
        location = parent(location)
    assert location == folder.replace("posts/", "posts")
    assert base_name(expected) == name.rpartition("/")[2]


def test_a_folder_keeps_the_query_of_its_uri() -> None:
    folder = Folder.at(f"s3://bucket/out/?{QUERY}")
    assert folder.path == "bucket/out"
    assert folder.location == f"s3://bucket/out?{QUERY}"
    records = folder.folder("the records")
    assert records.path == "bucket/out/the records"
    assert records.location == f"s3://bucket/out/the%20records?{QUERY}"
    again = Folder.at(records.location_of("a b.json"))
    assert again.path == records.file("a b.json") == "bucket/out/the records/a b.json"
    assert pickle.loads(pickle.dumps(again)).filesystem == folder.filesystem


def test_file_uris_and_paths_are_the_same_place(tmp_path: Path) -> None:
    odd = tmp_path / "a b%20#?"
    Folder.at(odd).write_bytes("inner/x", b"1")
    assert Folder.at(odd.as_uri()).folder("inner").read_bytes("x") == b"1"
    assert Folder.at(inside(tmp_path.as_uri(), "a b%20#?")).has("inner/x")


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"s3://\.\.\.@bucket/x.*environment") as caught:
        locate("s3://key:secret@bucket/x?region=us-east-1")
    assert "secret" not in str(caught.value)
