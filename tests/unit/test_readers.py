"""Posts read from every kind of source, and what is said about sources that cannot be read."""

import io
import json
import pickle
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hashnext.errors import ConfigError, DataError, PrivacyError, SchemaError
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns

ALL = ["post_id", "image", "image_uri", "hashtags", "public"]


def jpeg(level: int) -> bytes:
    """A grey image of one level."""
    stream = io.BytesIO()
    Image.new("L", (8, 8), level).save(stream, "JPEG")
    return stream.getvalue()


def write_parquet(path: Path, **columns: object) -> str:
    """A Parquet file of two rows a group."""
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return str(path)


def write_jsonl(path: Path, *lines: dict[str, object] | str) -> str:
    """A manifest, and the image files that it names."""
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text) + "\n")
    return str(path)


def write_tar(path: Path, **members: bytes) -> str:
    """A tar of members whose names have '_' where the files have '.'."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def rows(
    location: str | Path, fields: list[str] = ALL, **options: object
) -> list[dict[str, object]]:
    """Every post of a source."""
    source = PostSource.open(str(location), **options)  # type: ignore[arg-type]
    return [row for unit in source.units for row in source.read(unit, fields).to_pylist()]


def test_tinygram_is_read_whole_and_private_posts_show_only_their_id(real_data: Path) -> None:
    path = real_data / "tinygram/posts.parquet"
    expected = pq.read_table(path, columns=["post_id", "hashtags", "public"]).to_pylist()
    found = rows(path, ["post_id", "image", "hashtags", "public"])
    assert [row["post_id"] for row in found] == [row["post_id"] for row in expected]
    private = [row for row in found if not row["public"]]
    assert 0 < len(private) == sum(not row["public"] for row in expected)
    assert all(row["image"] is None and row["hashtags"] == [] for row in private)
    shown = [row["hashtags"] for row in found if row["public"]]
    assert shown == [row["hashtags"] for row in expected if row["public"]]


def test_columns_can_be_mapped_and_publicness_assumed(real_data: Path) -> None:
    columns = Columns(post_id="id", hashtags="uploader_tags")
    folder = real_data / "food_tagged"
    source = PostSource.open(str(folder), columns, assume_public=True)
    assert source.rows == 1008
    assert len(source.units) == 6
    table = source.read(source.units[0], ["hashtags", "public", "image", "post_id"])
    assert table.column_names == ["hashtags", "public", "image", "post_id"]
    assert all(table["public"].to_pylist())
    with pytest.raises(PrivacyError, match="--assume-public"):
        PostSource.open(str(folder), columns)


def test_parquet_types_are_cast_and_nulls_settled(tmp_path: Path) -> None:
    images = [
        {"bytes": b"a", "path": "x"},
        {"bytes": None, "path": "y"},
        {"bytes": b"c", "path": "z"},
    ]
    tags = pa.array([["a", None, "b"], None, []], pa.large_list(pa.large_string()))
    location = write_parquet(
        tmp_path / "posts.parquet",
        post_id=pa.array([7, 8, 9]), image=pa.array(images), hashtags=tags,
        public=[True, True, None], owner=["x", "y", "z"],
    )  # fmt: skip
    source = PostSource.open(location)
    table = source.read(source.units[0], ["post_id", "image", "hashtags", "public"])
    assert table.to_pydict() == {
        "post_id": ["7", "8"], "image": [b"a", None],
        "hashtags": [["a", "b"], []], "public": [True, True],
    }  # fmt: skip
    assert table.schema.types == [pa.string(), pa.binary(), pa.list_(pa.string()), pa.bool_()]
    last = source.read(source.units[1], ["post_id", "image", "public"]).to_pylist()
    assert last == [{"post_id": "9", "image": None, "public": False}]


def test_a_column_that_says_private_outweighs_assume_public(tmp_path: Path) -> None:
    location = write_parquet(
        tmp_path / "p.parquet", post_id=["a", "b"], hashtags=[["x"], ["y"]], public=[True, False]
    )
    found = rows(location, ["hashtags", "public"], assume_public=True)
    assert found == [{"hashtags": ["x"], "public": True}, {"hashtags": [], "public": False}]


def test_a_file_without_the_public_column_beside_one_with_it_is_private(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", post_id=["a"], hashtags=[["x"]], public=[True])
    write_parquet(tmp_path / "b.parquet", post_id=["b"], hashtags=[["y"]])
    for assume_public in (False, True):
        found = rows(tmp_path, ["hashtags", "public"], assume_public=assume_public)
        assert found == [{"hashtags": ["x"], "public": True}, {"hashtags": [], "public": False}]


def test_parquet_may_name_image_files_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/1.jpg").write_bytes(jpeg(1))
    location = write_parquet(
        tmp_path / "inner/p.parquet", post_id=["a", "b", "c"], hashtags=[["x"], [], []],
        image_uri=["1.jpg", "gone.jpg", "1.jpg"], public=[True, True, False],
    )  # fmt: skip
    for place in (location, str(tmp_path), f"file://{tmp_path}"):
        found = rows(place, ["image", "image_uri"])
        assert [row["image"] for row in found] == [jpeg(1), None, None]
        assert str(found[0]["image_uri"]).endswith(f"{tmp_path}/inner/1.jpg")
        assert found[2]["image_uri"] is None


def test_jsonl_manifest_with_images_beside_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for level in range(4):
        (tmp_path / f"photos/{level}.jpg").write_bytes(jpeg(level))
    location = write_jsonl(
        tmp_path / "posts.jsonl",
        {"post_id": "0", "image": "photos/0.jpg", "hashtags": ["dog", None], "public": True},
        "",
        {"post_id": 1, "image_uri": f"{tmp_path}/photos/1.jpg", "caption": "#dog", "public": True},
        {"post_id": "2", "image": "photos/2.jpg", "hashtags": ["secret"], "public": False, "at": 5},
        {"post_id": "3", "image": "photos/none.jpg", "hashtags": ["cut \ud83d"]},
        {"post_id": "4", "image": "photos/none.jpg", "hashtags": ["cut \ud83d"], "public": True},
    )
    found = rows(location)
    assert found == rows(tmp_path)
    assert [row["post_id"] for row in found] == ["0", "1", "2", "3", "4"]
    assert [row["image"] for row in found] == [jpeg(0), jpeg(1), None, None, None]
    assert [row["hashtags"] for row in found] == [["dog"], ["dog"], [], [], ["cut \ufffd"]]
    assert [row["public"] for row in found] == [True, True, False, False, True]
    assert found[0]["image_uri"] == f"{tmp_path}/photos/0.jpg"


def test_long_manifests_are_cut_into_units_that_miss_nothing(tmp_path: Path) -> None:
    lines: list[dict[str, object] | str] = [
        {"post_id": f"é{n}" * (n % 7 + 1), "hashtags": [], "public": True} for n in range(700)
    ]
    ids = [json.loads(json.dumps(line))["post_id"] for line in lines]
    location = write_jsonl(tmp_path / "m.jsonl", "", *lines)
    source = PostSource.open(location)
    assert len(source.units) == 3
    assert source.rows == 700
    assert [row["post_id"] for row in rows(location, ["post_id"])] == ids


def test_lines_that_are_no_posts_are_set_aside_by_their_place(tmp_path: Path) -> None:
    sound = [{"post_id": f"p{n}", "hashtags": ["dog"], "public": True} for n in range(300)]
    bad = ['{"post_id": ', "[]", '{"hashtags": ["x"], "public": true}',
           '{"post_id": "q", "hashtags": ["secret", 3], "public": true}',
           '{"likes": %s}' % ("9" * 5000), '{"deep": %s' % ("[" * 100_000)]  # fmt: skip
    location = write_jsonl(tmp_path / "b.jsonl", *bad[:2], *sound, *bad[2:])
    found = rows(location, ["post_id", "hashtags", "public", "problem"])
    assert [row["post_id"] for row in found if row["problem"] is None] == [
        row["post_id"] for row in sound
    ]
    json_of_no_post = "not a JSON object in UTF-8"
    of_wrong_type = "no 'post_id', or a value of the wrong type"
    blank = {"hashtags": [], "public": False}
    assert [row for row in found if row["problem"]] == [
        {"post_id": f"b.jsonl, line {number}", **blank, "problem": problem}
        for number, problem in (
            (1, json_of_no_post), (2, json_of_no_post), (303, of_wrong_type), (304, of_wrong_type),
            (305, json_of_no_post), (306, json_of_no_post),
        )
    ]  # fmt: skip
    source = PostSource.open(location)
    counted = [row for unit in source.units for row in source.public_tags(unit).to_pylist()]
    assert [row["post_id"] for row in counted] == [row["post_id"] for row in sound]


def test_webdataset_tars(tmp_path: Path) -> None:
    post = json.dumps({"hashtags": ["dog"], "public": True}).encode()
    named = json.dumps({"post_id": "mine", "caption": "#cat", "public": True}).encode()
    private = json.dumps({"hashtags": ["x"], "public": False}).encode()
    write_tar(tmp_path / "a.tar", a1_jpg=jpeg(1), a1_json=post, a2_json=named, a2_PNG=jpeg(2))
    write_tar(tmp_path / "b.tar", b1_jpg=jpeg(3), b1_json=private, b2_jpg=jpeg(4), b3_json=post)
    source = PostSource.open(str(tmp_path))
    assert source.rows is None
    assert len(source.units) == 2
    found = rows(tmp_path, ["post_id", "image", "hashtags", "public"])
    assert [tuple(row.values()) for row in found] == [
        ("a1", jpeg(1), ["dog"], True), ("mine", jpeg(2), ["cat"], True),
        ("b1", None, [], False), ("b2", None, [], False), ("b3", None, ["dog"], True),
    ]  # fmt: skip
    write_tar(tmp_path / "d.tar", d1_json=b"{", d1_jpg=jpeg(1), d2_json=post, d3_json=post)
    fields = ["post_id", "image", "public", "problem"]
    assert [tuple(row.values()) for row in rows(tmp_path / "d.tar", fields)] == [
        ("d.tar, d1.json", None, False, "not a JSON object in UTF-8"),
        ("d2", None, True, None), ("d3", None, True, None),
    ]  # fmt: skip


def test_a_damaged_tar_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    post = json.dumps({"hashtags": ["dog"], "public": True}).encode()
    members = {f"a{n}_{kind}": post if kind == "json" else jpeg(n)
               for n in range(3) for kind in ("jpg", "json")}  # fmt: skip
    path = tmp_path / "posts.tar"
    whole = Path(write_tar(path, **members)).read_bytes()
    ids = [row["post_id"] for row in rows(path, ["post_id"])]
    with tarfile.open(path) as tar:
        headers = [member.offset for member in tar]
        end = max(member.offset_data + member.size for member in tar)
    end = -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    cuts = {f"cut at {at}": whole[:at] for at in range(100, end + 1, 256)}
    flips = {f"flipped {at}": whole[:at] + b"\xff" + whole[at + 1 :] for at in headers}
    for what, data in {**cuts, **flips}.items():
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"posts\.tar: not a whole tar"):
            raise AssertionError(what, rows(path, ["post_id"]))
    path.write_bytes(whole[: end + tarfile.BLOCKSIZE])  # zeros may be fewer than are written
    assert [row["post_id"] for row in rows(path, ["post_id"])] == ids
    path.write_bytes(whole + whole.replace(b"a0.", b"b0.").replace(b"a1.", b"b1."))
    with pytest.raises(DataError, match="not a whole tar"):  # checksums of names no longer hold
        rows(path, ["post_id"])


def test_a_tar_may_follow_another_in_one_file_and_be_long(tmp_path: Path) -> None:
    post = json.dumps({"hashtags": ["dog"], "public": True}).encode()
    first = write_tar(tmp_path / "a.tar", **{f"a{n}_json": post for n in range(200)})
    second = write_tar(tmp_path / "b.tar", **{f"b{n}_json": post for n in range(100)})
    both = tmp_path / "both" / "both.tar"
    both.parent.mkdir()
    both.write_bytes(Path(first).read_bytes() + Path(second).read_bytes())
    source = PostSource.open(str(both))
    pieces = list(source.pieces(source.units[0], ["post_id"]))
    assert [piece.num_rows for piece in pieces] == [128, 128, 44]
    expected = [f"a{n}" for n in range(200)] + [f"b{n}" for n in range(100)]
    assert pa.concat_tables(pieces)["post_id"].to_pylist() == expected
    assert source.read(source.units[0], ["post_id"])["post_id"].to_pylist() == expected


def test_shards_are_a_source_whose_posts_are_public(tmp_path: Path) -> None:
    columns = {"width": [8], "height": [8], "hashtags": [["dog"]], "image": [jpeg(1)]}
    for name in ("a", "b"):
        write_parquet(tmp_path / f"part-{name}.parquet", post_id=[name], **columns)
    write_parquet(tmp_path / "quarantine.parquet", post_id=["c"], stage=["gate"])
    with pytest.raises(PrivacyError):
        rows(tmp_path / "part-a.parquet")
    (tmp_path / "manifest.json").write_text("{}")
    assert [row["post_id"] for row in rows(tmp_path) if row["public"]] == ["a", "b"]


def test_a_manifest_beside_other_peoples_parquet_opens_no_gate(tmp_path: Path) -> None:
    write_parquet(tmp_path / "part-0.parquet", post_id=["a"], hashtags=[["x"]])
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(PrivacyError):
        PostSource.open(str(tmp_path))


def test_fingerprint_follows_contents_not_place(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "two", "three")]
    for place, tag in zip(places, ("x", "x", "y"), strict=True):
        place.mkdir()
        write_jsonl(place / "m.jsonl", {"post_id": "1", "hashtags": [tag], "public": True})
    one, two, three = (PostSource.open(str(place)) for place in places)
    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert pickle.loads(pickle.dumps(one)).fingerprint == one.fingerprint


def test_bad_parquet_is_refused_by_name(tmp_path: Path) -> None:
    good: dict[str, object] = {"post_id": ["a"], "hashtags": [["x"]], "public": [True]}
    cases: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"public": ["yes"]}, SchemaError, "'public' is string, wanted bool"),
        ({"hashtags": ["x"]}, SchemaError, r"'hashtags' is string, wanted list<string>"),
        ({"post_id": [1.5]}, SchemaError, "'post_id' is double"),
        ({"image": ["path"]}, SchemaError, "'image' is string, wanted binary"),
        ({"post_id": None}, SchemaError, "no column 'post_id'.*--columns.post-id"),
        ({"hashtags": None}, SchemaError, "no column 'hashtags'"),
        ({"public": None}, PrivacyError, "'public'"),
    ]
    for changes, error, message in cases:
        columns = {key: value for key, value in (good | changes).items() if value is not None}
        location = write_parquet(tmp_path / "p.parquet", **columns)
        with pytest.raises(error, match=message):
            PostSource.open(location)
    location = write_parquet(tmp_path / "p.parquet", **good)
    with pytest.raises(SchemaError, match="no column 'image' or 'image_uri'"):
        rows(location, ["image"])
    with pytest.raises(SchemaError, match="no column 'tags'"):
        PostSource.open(location, Columns(hashtags="tags"))
    with pytest.raises(ConfigError, match=r"columns\.public"):
        Columns(public="")


def test_rows_without_an_id_are_set_aside_and_damaged_pages_refused(tmp_path: Path) -> None:
    ids = pa.array(["a", None, ""])
    location = write_parquet(
        tmp_path / "p.parquet", post_id=ids, hashtags=[["x"], ["y"], ["z"]], public=[True] * 3
    )
    place, private = "p.parquet, row group", {"hashtags": [], "public": False}
    assert rows(location, ["post_id", "hashtags", "public", "problem"]) == [
        {"post_id": "a", "hashtags": ["x"], "public": True, "problem": None},
        {"post_id": f"{place} 0, row 1", **private, "problem": "no 'post_id'"},
        {"post_id": f"{place} 1, row 0", **private, "problem": "no 'post_id'"},
    ]
    source = PostSource.open(location)
    tags = [row for unit in source.units for row in source.public_tags(unit).to_pylist()]
    assert tags == [{"post_id": "a", "hashtags": ["x"]}]
    data = bytearray((tmp_path / "p.parquet").read_bytes())
    data[4:40] = bytes(36)
    (tmp_path / "pages.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"pages\.parquet: cannot be read"):
        rows(tmp_path / "pages.parquet", ["post_id"])
    (tmp_path / "cut.parquet").write_bytes(data[:100])
    with pytest.raises(DataError, match=r"cut\.parquet: cannot be read"):
        PostSource.open(str(tmp_path / "cut.parquet"))


def test_places_without_posts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        PostSource.open(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"holds no \.parquet"):
        PostSource.open(str(tmp_path))
    (tmp_path / "posts.csv").write_text("post_id\n")
    with pytest.raises(DataError, match="not a file of posts"):
        PostSource.open(str(tmp_path / "posts.csv"))
    with pytest.raises(ConfigError, match="not a URI"):
        PostSource.open("gopher://posts")
    empty = pa.array([], pa.string())
    write_parquet(
        tmp_path / "e.parquet", post_id=empty, caption=empty, public=pa.array([], pa.bool_())
    )
    with pytest.raises(DataError, match="holds no posts"):
        PostSource.open(str(tmp_path))
    write_jsonl(tmp_path / "m.jsonl", "")
    with pytest.raises(DataError, match=r"both \.jsonl and \.parquet"):
        PostSource.open(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("{", DataError, "line 2: not JSON"),
        ("[]", DataError, "line 2: a JSON list"),
        ('{"post_id": "2", "public": "yes"}', SchemaError, "line 2: 'public' is 'yes'"),
        ('{"post_id": "2", "hashtags": "dog"}', SchemaError, "line 2: 'hashtags' is of type str,"),
        ('{"post_id": "2", "hashtags": [3]}', SchemaError, "line 2: 'hashtags' holds of type int,"),
        ('{"post_id": "2", "hashtags": [3], "public": true}', SchemaError, "'hashtags' holds 3,"),
        ('{"post_id": true}', SchemaError, "line 2: 'post_id' is True"),
        ('{"hashtags": []}', SchemaError, "line 2: no 'post_id'"),
    ],
)
def test_bad_lines_are_refused_by_number(
    tmp_path: Path, line: str, error: type[Exception], message: str
) -> None:
    first = {"post_id": "1", "hashtags": ["dog"], "public": True}
    with pytest.raises(error, match=message):
        PostSource.open(write_jsonl(tmp_path / "m.jsonl", first, line))


def test_jsonl_without_a_public_key_is_refused(tmp_path: Path) -> None:
    location = write_jsonl(tmp_path / "m.jsonl", {"post_id": "1", "hashtags": ["dog"]})
    with pytest.raises(PrivacyError, match="'public'"):
        PostSource.open(location)
    assert rows(location, ["public"], assume_public=True) == [{"public": True}]


@pytest.mark.parametrize("column", ["hashtags", "caption", "image_uri", "post_id"])
def test_text_that_is_not_utf8_is_refused_by_file_and_column(tmp_path: Path, column: str) -> None:
    bad = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    columns = {"post_id": ["1"], "public": [True], "hashtags": pa.array([["dog"]])}
    columns |= {"image_uri": ["1.jpg"], column: bad}
    if column == "hashtags":
        columns[column] = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), bad)
    if column == "caption":
        del columns["hashtags"]
    source = PostSource.open(write_parquet(tmp_path / "p.parquet", **columns))
    unit, said = source.units[0], rf"p\.parquet: column '{column}' is no text"
    with pytest.raises(DataError, match=said):
        unit.read(source.folder, source.columns, [column if column != "caption" else "hashtags"])
    if column != "image_uri":
        with pytest.raises(DataError, match=said):
            source.public_tags(unit)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_caption_speaks_for_each_post_without_a_list(tmp_path: Path, kind: str) -> None:
    posts = [
        {"post_id": "1", "hashtags": None, "caption": "my #dog", "public": True},
        {"post_id": "2", "hashtags": [], "caption": "my #cat", "public": True},
        {"post_id": "3", "hashtags": ["fox", None], "caption": "my #hen", "public": True},
        {"post_id": "4", "hashtags": None, "caption": None, "public": True},
    ]
    columns = {name: [post[name] for post in posts] for name in posts[0]}
    path = (
        write_parquet(tmp_path / "p.parquet", **columns)
        if kind == "parquet"
        else write_jsonl(tmp_path / "p.jsonl", *posts)
    )
    source = PostSource.open(path)
    tags = [row["hashtags"] for row in rows(path, ["hashtags"])]
    counted = [
        row for unit in source.units for row in source.public_tags(unit)["hashtags"].to_pylist()
    ]
    assert tags == counted == [["dog"], [], ["fox"], []]
