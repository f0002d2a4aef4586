"""Labelled images in files of their own, as ImageNet's validation set lies on most disks.

Either a folder a class, or one folder and a text file that says which image shows what. Classes
named by wnids are numbered in the wnids' order, as the outputs of published networks are. The
numbers of ImageNet's devkit follow another order and are refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from importlib import resources

import numpy as np
from pyarrow import fs

from hashnext.errors import ConfigError, DataError
from hashnext.evaluation.labelled_stream import LabelledStream, listing, stream_parquet
from hashnext.hashtags import data
from hashnext.hashtags.lexicon_build import ILSVRC
from hashnext.storage import Folder, locate

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
READERS = 16
"""Files that are read at once."""
_WNID = re.compile(r"n\d{8}")


def open_labelled(location: str, num_labels: int, labels: str | None = None) -> LabelledStream:
    """Labelled images at a path or URI: Parquet, a folder a class, or a folder and a list.

    Args:
        location: of the images.
        num_labels: outputs of the head that the labels are about.
        labels: text file with a line an image, either its wnid, in the order of the images' names,
            or the image's name and its wnid or the number of its output; None for other layouts.

    Raises:
        DataError: nothing is there, there are no images, a label is missing or unknown, or the
            number of classes is not that of the head.
        SchemaError: Parquet lacks a column or has one of the wrong type.
        ConfigError: `labels` was given with Parquet.
    """
    folder = Folder.at(location)
    try:
        found = folder.filesystem.get_file_info(folder.path).type
    except OSError as error:  # an object store that cannot be reached, or refuses us
        raise DataError(f"{location}: {error}") from error
    if found == fs.FileType.Directory:
        files = _files(folder)
        if not any(name.endswith(".parquet") for name in files):
            return _of_files(folder, files, num_labels, labels)
    if labels is not None:
        raise ConfigError("labels", labels, "goes with image files; Parquet holds its own labels")
    stream = stream_parquet(location)
    _check_range(location, stream.labels.max(), num_labels)
    return stream


@lru_cache(1)
def ilsvrc_wnids() -> Mapping[str, int]:
    """The 1,000 classes of ILSVRC 2012, and the output that stands for each."""
    wnids = resources.files(data).joinpath(ILSVRC).read_text().split()
    return {wnid: number for number, wnid in enumerate(sorted(wnids))}


def _of_files(
    folder: Folder, files: Mapping[str, int], num_labels: int, labels: str | None
) -> LabelledStream:
    names = sorted(name for name in files if name.lower().endswith(SUFFIXES))
    if not names:
        raise DataError(f"{folder.location}: holds no images ({', '.join(SUFFIXES)})")
    if labels is None:
        numbers = _by_folder(folder, names, num_labels)
    else:
        numbers = _by_list(labels, names, num_labels)
    array = np.array(numbers, dtype=np.int64)
    return LabelledStream(
        ids=names, labels=array, listing=listing(names, array, [files[name] for name in names]),
        read=partial(_file_batches, folder, names),
    )  # fmt: skip


def _files(folder: Folder) -> dict[str, int]:
    """Names and sizes in bytes of the files inside, hidden ones left out."""
    found = folder.filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True))
    sizes = {
        info.path.removeprefix(f"{folder.path}/"): info.size
        for info in found
        if info.type == fs.FileType.File
    }
    return {n: s for n, s in sizes.items() if not any(p.startswith(".") for p in n.split("/"))}


def _by_folder(folder: Folder, names: Sequence[str], num_labels: int) -> list[int]:
    classes = [name.partition("/")[0] for name in names if "/" in name]
    if len(classes) < len(names):
        raise DataError(
            f"{folder.location}: holds {len(names) - len(classes):,} images outside of folders "
            "that name their classes; say what they show with --labels FILE"
        )
    numbers = _class_numbers(folder, sorted(set(classes)), num_labels)
    return [numbers[each] for each in classes]


def _class_numbers(folder: Folder, classes: Sequence[str], num_labels: int) -> Mapping[str, int]:
    """The output that each class stands for: its wnid's, its own number, or its place."""
    if num_labels == len(ilsvrc_wnids()) and ilsvrc_wnids().keys() >= set(classes):
        return ilsvrc_wnids()
    if all(each.isdecimal() for each in classes):
        _check_range(folder.location, max(map(int, classes)), num_labels)
        return {each: int(each) for each in classes}
    if len(classes) != num_labels:
        raise DataError(
            f"{folder.location}: has {len(classes):,} folders of classes ({classes[0]}, ...), "
            f"and the weights' head has {num_labels:,} outputs"
        )
    return {each: number for number, each in enumerate(classes)}


def _by_list(location: str, names: Sequence[str], num_labels: int) -> list[int]:
    lines = [line.replace(",", " ").split() for line in _text(location).splitlines()]
    rows = [line for line in lines if line]
    number = partial(_number, location, num_labels)
    if all(len(row) == 1 for row in rows):
        if len(rows) != len(names):
            raise DataError(f"{location}: has {len(rows):,} lines for {len(names):,} images")
        return [number(row[0], named=False) for row in rows]
    stated = {_base(row[0]): row[1] for row in rows if len(row) > 1}
    found = [stated.get(_base(name)) or stated.get(_stem(name)) for name in names]
    if unknown := [name for name, label in zip(names, found, strict=True) if label is None]:
        raise DataError(
            f"{location}: says nothing of {len(unknown):,} images, such as {unknown[0]}"
        )
    return [number(label, named=True) for label in found if label is not None]


def _number(location: str, num_labels: int, label: str, named: bool) -> int:
    """The output that a label of the list stands for."""
    if _WNID.fullmatch(label) and num_labels == len(ilsvrc_wnids()):
        if label not in ilsvrc_wnids():
            raise DataError(f"{location}: {label} is not one of ILSVRC's 1,000 classes")
        return ilsvrc_wnids()[label]
    if named and label.isdecimal():
        _check_range(location, int(label), num_labels)
        return int(label)
    raise DataError(
        f"{location}: label {label!r}: expected a wnid such as n01440764, or behind the image's "
        "name the number of its output; the devkit's numbers follow another order"
    )


def _check_range(location: str, label: int, num_labels: int) -> None:
    if label >= num_labels:
        raise DataError(
            f"{location}: label {label}: the weights' head has {num_labels:,} outputs, from 0 on"
        )


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    return _base(name).rpartition(".")[0]


def _text(location: str) -> str:
    filesystem, path = locate(location)
    try:
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read()).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--labels {location}: cannot be read ({error})") from error


def _file_batches(folder: Folder, names: Sequence[str], size: int) -> Iterator[list[bytes]]:
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(names), size):
            yield list(pool.map(folder.read_bytes, names[start : start + size]))
