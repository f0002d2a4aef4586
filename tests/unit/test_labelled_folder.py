"""Labelled images in folders and in streamed Parquet: labels, order, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.errors import ConfigError, DataError, SchemaError
from hashnext.evaluation.labelled import read_labelled
from hashnext.evaluation.labelled_folder import ilsvrc_wnids, open_labelled
from hashnext.evaluation.labelled_stream import LabelledStream, stream_parquet

TENCH, GOLDFISH, TOILET_TISSUE = "n01440764", "n01443537", "n15075141"
"""The first, the second and the last class of ILSVRC."""


def tree(folder: Path, *names: str) -> str:
    """Files whose contents are their names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return str(folder)


def labelled(stream: LabelledStream) -> dict[str, int]:
    return dict(zip(stream.ids, stream.labels.tolist(), strict=True))


def contents(stream: LabelledStream, size: int) -> list[bytes]:
    return [image for batch in stream.batches(size) for image in batch]


def test_wnids_are_numbered_as_the_outputs_are() -> None:
    numbers = ilsvrc_wnids()
    assert (numbers[TENCH], numbers[GOLDFISH], numbers[TOILET_TISSUE]) == (0, 1, 999)
    assert len(numbers) == 1000


def test_real_photos_have_the_numbers_of_their_wnids(real_data: Path) -> None:
    table = pq.read_table(real_data / "photos" / "labels.parquet")
    numbers = table["imagenet_index"].to_pylist()
    assert numbers == [ilsvrc_wnids()[wnid] for wnid in table["wnid"].to_pylist()]


def test_a_folder_a_class(tmp_path: Path) -> None:
    names = [f"{TOILET_TISSUE}/a.JPEG", f"{TENCH}/b.JPEG", f"{TENCH}/deep/c.png"]
    place = tree(tmp_path, *names, f"{TENCH}/notes.txt", ".cache/n01443537/d.jpg")
    for location in (place, place + "/", tmp_path.as_uri()):
        found = open_labelled(location, 1000)
        assert labelled(found) == {names[1]: 0, names[2]: 0, names[0]: 999}
        assert contents(found, 2) == [name.encode() for name in found.ids]


def test_numbered_folders_are_the_outputs_that_they_name(tmp_path: Path) -> None:
    place = tree(tmp_path, "10/a.jpg", "9/a.jpg", "0/a.jpg")
    assert labelled(open_labelled(place, 1000)) == {"0/a.jpg": 0, "10/a.jpg": 10, "9/a.jpg": 9}
    with pytest.raises(DataError, match="label 10: the weights' head has 10 outputs"):
        open_labelled(place, 10)


def test_other_folders_are_numbered_in_their_order(tmp_path: Path) -> None:
    place = tree(tmp_path, "dog/a.jpg", "cat/a.jpg")
    assert labelled(open_labelled(place, 2)) == {"cat/a.jpg": 0, "dog/a.jpg": 1}
    with pytest.raises(DataError, match=r"2 folders of classes \(cat, .* head has 1,000 outputs"):
        open_labelled(place, 1000)


FLAT = ("ILSVRC2012_val_00000002.JPEG", "ILSVRC2012_val_00000001.JPEG")


@pytest.mark.parametrize(
    "text",
    [
        f"{TENCH}\n{GOLDFISH}\n",
        "ILSVRC2012_val_00000002.JPEG 1\nILSVRC2012_val_00000001.JPEG 0\n\n",
        "ImageId,PredictionString\n"
        f"ILSVRC2012_val_00000001,{TENCH} 85 1 499 272\n"
        f"ILSVRC2012_val_00000002,{GOLDFISH} 1 2 3 4 {GOLDFISH} 5 6 7 8\n",
        f"val/{FLAT[1]} {TENCH}\nval/{FLAT[0]} {GOLDFISH}\nval/unknown.JPEG {GOLDFISH}\n",
    ],
)
def test_one_folder_and_a_list(text: str, tmp_path: Path) -> None:
    place = tree(tmp_path / "val", *FLAT)
    (tmp_path / "labels.txt").write_text(text)
    found = open_labelled(place, 1000, str(tmp_path / "labels.txt"))
    assert labelled(found) == {FLAT[1]: 0, FLAT[0]: 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("490\n361\n", "label '490': expected a wnid.*devkit"),
        (f"{TENCH}\n", "has 1 lines for 2 images"),
        (f"{TENCH}\nn00000000\n", "n00000000 is not one of ILSVRC's"),
        (f"{FLAT[0]} {TENCH}\n", "says nothing of 1 images, such as ILSVRC2012_val_00000001"),
        (f"{FLAT[0]} 1000\n{FLAT[1]} 0\n", "label 1000: the weights' head has 1,000 outputs"),
        (f"{FLAT[0]} tench\n{FLAT[1]} 0\n", "label 'tench': expected a wnid"),
    ],
)
def test_lists_that_do_not_serve(text: str, message: str, tmp_path: Path) -> None:
    place = tree(tmp_path / "val", *FLAT)
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        open_labelled(place, 1000, str(tmp_path / "labels.txt"))


def test_folders_that_do_not_serve(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 images outside of folders .* --labels FILE"):
        open_labelled(tree(tmp_path / "flat", *FLAT, f"{TENCH}/a.jpg"), 1000)
    with pytest.raises(DataError, match="holds no images"):
        open_labelled(tree(tmp_path / "texts", "a.txt"), 1000)
    with pytest.raises(DataError, match="there is no such file or folder"):
        open_labelled(str(tmp_path / "absent"), 1000)
    with pytest.raises(DataError, match=r"--labels .*absent\.txt: cannot be read"):
        open_labelled(str(tmp_path / "flat"), 1000, str(tmp_path / "absent.txt"))


def test_the_listing_follows_names_labels_and_sizes(tmp_path: Path) -> None:
    place = tree(tmp_path, "cat/a.jpg", "dog/a.jpg")
    first = open_labelled(place, 2).listing
    assert open_labelled(place, 2).listing == first
    (tmp_path / "dog" / "a.jpg").write_text("longer than before")
    longer = open_labelled(place, 2).listing
    (tmp_path / "dog").rename(tmp_path / "ant")
    assert len({first, longer, open_labelled(place, 2).listing}) == 3


def parquet(path: Path, rows: int, row_group: int, **columns: Any) -> None:
    table = {
        "id": [f"{path.stem} {n}" for n in range(rows)],
        "image": [f"{path.stem} image {n}".encode() * (n % 3) for n in range(rows)],
        "label": pa.array([n % 5 for n in range(rows)], pa.int16()),
    }
    pq.write_table(pa.table(table | columns), path, row_group_size=row_group)


@settings(max_examples=20)
@given(
    rows=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    sizes=st.tuples(*[st.integers(1, 9)] * 2),
)
def test_streamed_parquet_is_what_is_read_at_once(
    rows: Sequence[int], sizes: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, (row_group, size) = tmp_path_factory.mktemp("parts"), sizes
    for number, count in enumerate(rows):
        parquet(folder / f"part-{number}.parquet", count, row_group)
    whole, stream = read_labelled(str(folder)), stream_parquet(str(folder))
    assert stream.ids == whole.ids
    assert np.array_equal(stream.labels, whole.labels)
    assert contents(stream, size) == whole.images == contents(stream, 1)
    assert max(map(len, stream.batches(size))) <= size
    assert len(stream) == len(whole) == sum(map(len, whole.batches(size)))


def test_a_row_group_is_not_read_whole(tmp_path: Path) -> None:
    path, rows, size = tmp_path / "val.parquet", 6000, 6_000
    random = np.random.default_rng(0)
    parquet(path, rows, rows, image=[random.bytes(size) for _ in range(rows)])
    stream, before = stream_parquet(str(path)), pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in stream.batches(16))
    assert most < rows * size * 0.7


def test_parquet_that_does_not_serve(tmp_path: Path) -> None:
    path = tmp_path / "val.parquet"
    parquet(path, 6, 6)
    assert len(open_labelled(str(path), 5)) == 6
    with pytest.raises(DataError, match="label 4: the weights' head has 4 outputs"):
        open_labelled(str(path), 4)
    with pytest.raises(ConfigError, match=r"labels = 'list\.txt': goes with image files"):
        open_labelled(str(path), 5, "list.txt")
    parquet(path, 2, 2, image=[b"image", None])
    with pytest.raises(DataError, match=r"val\.parquet: column 'image' has nulls"):
        contents(open_labelled(str(path), 5), 9)
    parquet(path, 2, 2, image=["text", "text"])
    with pytest.raises(SchemaError, match="column 'image' is string"):
        open_labelled(str(path), 5)
    parquet(path, 2, 2, id=["p", "p"])
    with pytest.raises(DataError, match="id 'p' occurs 2 times"):
        open_labelled(str(path), 5)
