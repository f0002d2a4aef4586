"""Evaluation sets: every image of theirs can be looked for, or they are refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext.errors import DataError, SchemaError
from hashnext.images.decode import DecodeLimits
from hashnext.shards.references import Reference, identities
from tests.shards_by_hand import smooth_posts

IMAGES = [post["image"] for post in smooth_posts(3)]
NESTED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def reference(path: Path, images: pa.Array) -> Reference:
    pq.write_table(pa.table({"image": images, "id": ["a", "b", "c"][: len(images)]}), path)
    return Reference.open(str(path))


def test_images_may_lie_in_a_struct_as_they_do_in_posts(tmp_path: Path) -> None:
    plain = reference(tmp_path / "plain.parquet", pa.array(IMAGES, pa.binary()))
    rows = [{"bytes": image, "path": None} for image in IMAGES]
    nested = reference(tmp_path / "nested.parquet", pa.array(rows, NESTED))
    first, second = identities([plain, nested], DecodeLimits(), 64)
    assert first["post_id"].to_pylist() == ["a", "b", "c"]
    assert first.equals(second)
    assert plain.pick(["b"]) == nested.pick(["b"]) == {"b": IMAGES[1]}


def test_an_image_that_could_not_be_found_again_is_refused_by_name(tmp_path: Path) -> None:
    for spoilt in (IMAGES[1][:100], b"", None):  # type: ignore[index]
        images = pa.array([IMAGES[0], spoilt, IMAGES[2]], pa.binary())
        broken = reference(tmp_path / "broken.parquet", images)
        with pytest.raises(DataError, match=r"broken\.parquet: image 'b' cannot be decoded"):
            identities([broken], DecodeLimits(), 64)


def test_a_column_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="column 'image' is string, wanted binary"):
        reference(tmp_path / "paths.parquet", pa.array(["a.jpg"]))
