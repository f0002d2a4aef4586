"""Labelled sets: what is read, the selection slice, and what is refused in which words."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext.errors import DataError, SchemaError
from hashnext.evaluation.labelled import LabelledSet, read_labelled
from hashnext.evaluation.transfer import TransferTask


def write(folder: Path, **columns: Any) -> str:
    path = folder / "labelled.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def numbered(n: int, labels: list[int]) -> LabelledSet:
    return LabelledSet(
        ids=[f"x{i}" for i in range(n)], images=[b"x"] * n,
        labels=np.array(labels, np.int64), fingerprint="",
    )  # fmt: skip


def test_reads_ids_images_and_labels_with_gaps(tmp_path: Path) -> None:
    path = write(
        tmp_path, id=[7, 8, 9], image=[b"a", b"b", b"c"], label=pa.array([5, 0, 5], pa.int32()),
        wnid=["n1", None, "n1"],
    )  # fmt: skip
    found = read_labelled(path)
    assert found.ids == ["7", "8", "9"]
    assert found.images == [b"a", b"b", b"c"]
    assert found.labels.tolist() == [5, 0, 5]
    assert found.labels.dtype == np.int64
    assert (found.num_classes, found.classes.tolist()) == (2, [0, 5])


def test_without_ids_the_row_number_is_the_id(tmp_path: Path) -> None:
    assert read_labelled(write(tmp_path, image=[b"a", b"b"], label=[0, 1])).ids == ["0", "1"]


def test_the_fingerprint_follows_every_part(tmp_path: Path) -> None:
    base: dict[str, Any] = {"id": ["p", "q"], "image": [b"a", b"b"], "label": [0, 1]}
    changes: list[dict[str, Any]] = [
        {}, {"id": ["p", "r"]}, {"image": [b"ab", b""]}, {"label": [1, 0]},
    ]  # fmt: skip
    prints = [read_labelled(write(tmp_path, **base | change)).fingerprint for change in changes]
    assert len(set(prints)) == 4
    assert prints[0] == read_labelled(write(tmp_path, **base)).fingerprint


def test_the_selection_slice_is_a_fifth_and_follows_the_id_alone() -> None:
    many = numbered(5000, [0] * 5000)
    chosen = many.selection()
    assert chosen.mean() == pytest.approx(0.2, abs=0.02)
    backwards = many.where(np.ones(5000, bool))
    backwards.ids.reverse()
    assert backwards.selection().tolist() == chosen[::-1].tolist()
    assert len(many.where(chosen)) == chosen.sum()


def test_too_few_images_for_a_slice() -> None:
    with pytest.raises(DataError, match="1 images are too few"):
        numbered(1, [0]).selection()


def test_test_labels_must_occur_in_training() -> None:
    train = numbered(100, [0, 2] * 50)
    with pytest.raises(DataError, match=r"2 labels do not occur in the training set: \[1, 3\]"):
        TransferTask(train=train, test=numbered(3, [1, 2, 3]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"a"]}, "column 'label' is missing; found image"),
        ({"image": ["a"], "label": [0]}, "column 'image' is string; must be binary"),
        ({"image": [b"a"], "label": ["cat"]}, "column 'label' is string; must be an integer"),
        ({"image": [b"a"], "label": [0], "id": [0.5]}, "column 'id' is double; must be text"),
    ],
)
def test_wrong_columns(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        read_labelled(write(tmp_path, **columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"a", None], "label": [0, 1]}, "column 'image' has 1 nulls"),
        ({"image": [b"a"], "label": [-1]}, "label -1: must not be negative"),
        ({"id": ["p", "p"], "image": [b"a"] * 2, "label": [0, 1]}, "id 'p' occurs 2 times"),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, "holds no rows"),
    ],
)
def test_wrong_values(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled(write(tmp_path, **columns))


def test_no_file_and_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_labelled(str(tmp_path / "absent.parquet"))
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_labelled(str(tmp_path / "text.parquet"))
