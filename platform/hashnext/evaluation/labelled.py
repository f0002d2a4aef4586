"""Labelled images from Parquet: the training and the test set of the transfer probe.

Columns: `image` (encoded bytes), `label` (an integer from 0 on, gaps allowed) and `id` (text or
integer, unique); without an `id` column the number of the row is the id. Others are ignored.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashnext.errors import DataError, SchemaError
from hashnext.posts.identity import post_keys
from hashnext.storage import locate

SELECTION_PER_THOUSAND = 200


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """Images with one label each, in the order of the file."""

    ids: list[str]
    images: list[bytes]
    """Encoded, as in the file."""
    labels: NDArray[np.int64]
    """(n,), as in the file."""
    fingerprint: str
    """SHA-256 over ids, images and labels."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The distinct labels in ascending order: int64 (C,)."""
        return np.unique(self.labels)

    @property
    def num_classes(self) -> int:
        """Number of distinct labels."""
        return len(self.classes)

    def batches(self, size: int) -> Iterator[list[bytes]]:
        """The images in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self.images[start : start + size]

    def where(self, mask: NDArray[np.bool_]) -> "LabelledSet":
        """The images for which `mask` (n,) is true."""
        rows = np.flatnonzero(mask)
        ids, images = [self.ids[i] for i in rows], [self.images[i] for i in rows]
        labels = self.labels[rows]
        return LabelledSet(
            ids=ids, images=images, labels=labels, fingerprint=_fingerprint(ids, images, labels)
        )

    def selection(self) -> NDArray[np.bool_]:
        """The 20 % of the images on which settings and trials are chosen: bool (n,).

        A hash of the id decides, so the slice is the same in every run and for every model.

        Raises:
            DataError: so few images that one side is empty.
        """
        chosen = post_keys(pa.array(self.ids)) % np.uint64(1000) < SELECTION_PER_THOUSAND
        if chosen.all() or not chosen.any():
            raise DataError(
                f"training set: {len(self)} images are too few to hold out 20 % for selection"
            )
        return chosen


class Fingerprint:
    """SHA-256 over labels, ids and images, the images added one after the other."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._digest = hashlib.sha256(labels.astype("<i8").tobytes())

    def add(self, name: str, image: bytes) -> None:
        """Add the next image and its id."""
        self._digest.update(f"{len(name)} {name} {len(image)} ".encode())
        self._digest.update(image)

    def hexdigest(self) -> str:
        """Of all that has been added."""
        return self._digest.hexdigest()


def read_labelled(location: str) -> LabelledSet:
    """Read a labelled Parquet file or folder; a local path or a URI.

    Raises:
        DataError: nothing is there, it is no Parquet, it holds no rows, or a value is missing or
            out of its range.
        SchemaError: a column is missing or has the wrong type.
    """
    table = read_columns(location, open_dataset(location), ("id", "image", "label"))
    ids, labels = ids_and_labels(location, table)
    images = table["image"].to_pylist()
    return LabelledSet(
        ids=ids, images=images, labels=labels, fingerprint=_fingerprint(ids, images, labels)
    )


def open_dataset(location: str) -> pq.ParquetDataset:
    """The Parquet file or folder at a location, its schema checked. Raises as `read_labelled`."""
    filesystem, path = locate(location)
    with _readable(location):
        dataset = pq.ParquetDataset(path, filesystem=filesystem)
        _check_schema(location, dataset.schema)
    return dataset


def read_columns(location: str, dataset: pq.ParquetDataset, names: Sequence[str]) -> pa.Table:
    """Those of the columns that are there, without nulls. Raises as `read_labelled`."""
    with _readable(location):
        table = dataset.read(columns=[name for name in names if name in dataset.schema.names])
    if not table.num_rows:
        raise DataError(f"{location}: holds no rows")
    for column in table.column_names:
        if nulls := table[column].null_count:
            raise DataError(f"{location}: column {column!r} has {nulls} nulls; every row needs one")
    return table


def ids_and_labels(location: str, table: pa.Table) -> tuple[list[str], NDArray[np.int64]]:
    """Ids and labels (n,) of a table. Raises DataError: a label is negative, or an id repeated."""
    labels = table["label"].to_numpy().astype(np.int64)
    if labels.min() < 0:
        raise DataError(f"{location}: label {labels.min()}: must not be negative")
    return _ids(location, table), labels


@contextmanager
def _readable(location: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{location}: there is no such file or folder") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{location}: cannot be read as Parquet ({error})") from error


def _check_schema(location: str, schema: pa.Schema) -> None:
    types = pa.types
    rules = {
        "image": ("binary", lambda t: types.is_binary(t) or types.is_large_binary(t)),
        "label": ("an integer", types.is_integer),
        "id": ("text or an integer", lambda t: types.is_integer(t) or _is_text(t)),
    }
    for name, (expected, holds) in rules.items():
        if name not in schema.names:
            if name == "id":
                continue
            raise SchemaError(
                f"{location}: column {name!r} is missing; found {', '.join(schema.names)}"
            )
        if not holds(schema.field(name).type):
            found = schema.field(name).type
            raise SchemaError(f"{location}: column {name!r} is {found}; must be {expected}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _ids(location: str, table: pa.Table) -> list[str]:
    if "id" not in table.column_names:
        return [str(row) for row in range(table.num_rows)]
    ids: list[str] = pc.cast(table["id"], pa.string()).to_pylist()
    if len(set(ids)) < len(ids):
        counts = pc.value_counts(table["id"])
        repeated = next(row for row in counts.to_pylist() if row["counts"] > 1)
        raise DataError(f"{location}: id {repeated['values']!r} occurs {repeated['counts']} times")
    return ids


def _fingerprint(ids: list[str], images: list[bytes], labels: NDArray[np.int64]) -> str:
    fingerprint = Fingerprint(labels)
    for name, image in zip(ids, images, strict=True):
        fingerprint.add(name, image)
    return fingerprint.hexdigest()
