"""Loading samples from a file system that fails: what passes costs nothing, what stays is named."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs
from shards_by_hand import make_shards, smooth_posts

from hashnext import patience
from hashnext.images.decode import DecodeLimits
from hashnext.shards.index import LabelIndex
from hashnext.shards.loader import Crops, ShardReader, load
from hashnext.shards.manifest import Manifest
from hashnext.shards.order import Samples
from hashnext.storage import Folder

BUSY = OSError("AWS Error SLOW_DOWN during GetObject operation: Please reduce your request rate.")
SIZE, POSTS = 16, 12


@dataclass
class Moody:
    """Opens files of the local file system, after it has raised some errors."""

    errors: list[Exception]
    opened: list[str] = field(default_factory=list)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Called by Arrow."""
        self.opened.append(path)
        if self.errors:
            raise self.errors.pop(0)
        return fs.LocalFileSystem().open_input_file(path)

    def filesystem(self) -> fs.FileSystem:
        """As Arrow wants it; only files are opened."""
        asked: dict[str, Any] = dict.fromkeys(fs.FileSystemHandler.__abstractmethods__)
        asked["open_input_file"] = lambda _, path: self.open_input_file(path)
        asked["get_type_name"] = lambda _: "moody"
        asked["normalize_path"] = lambda _, path: path
        return fs.PyFileSystem(type("Handler", (fs.FileSystemHandler,), asked)())


def reader_on(shards: Folder, mood: Moody) -> ShardReader:
    return ShardReader.of(replace(shards, filesystem=mood.filesystem()), Manifest.read(shards), 4)


def loaded(reader: ShardReader) -> dict[str, Any]:
    """Every post once, by whatever order."""
    rows = [rows for _, _, rows in reader.manifest.row_groups()]
    count = sum(rows)
    index = LabelIndex(
        np.repeat(np.arange(len(rows)), rows), np.concatenate([np.arange(n) for n in rows]),
        np.arange(count).astype(np.uint64), np.arange(count + 1), np.zeros(count, np.int32), 0,
    )  # fmt: skip
    zeros = np.zeros(count, dtype=np.int64)
    samples = Samples(np.arange(count), zeros, zeros, zeros)
    return load(reader, index, samples, Crops(SIZE, 0, 0.5), DecodeLimits())


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Two files of one row group each."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.001)
    return make_shards(tmp_path / "shards", smooth_posts(POSTS, private=POSTS + 1)[1:], 6)


def test_a_read_that_fails_once_changes_nothing(shards: Folder) -> None:
    undisturbed = loaded(reader_on(shards, Moody([])))
    mood = Moody([BUSY, TimeoutError("timed out")])
    found = loaded(reader_on(shards, mood))
    assert set(found["error"]) == {""}
    for name, column in undisturbed.items():
        assert (found[name] == column).all(), name
    assert len(mood.opened) == 2 + 2


@pytest.mark.parametrize(("error", "tries"), [
    (BUSY, patience.ATTEMPTS), (FileNotFoundError(2, "no such key"), 1),
    (pa.ArrowInvalid("Parquet magic bytes not found in footer"), 1),
])  # fmt: skip
def test_a_lost_row_group_is_tried_once_and_named(
    shards: Folder, error: Exception, tries: int
) -> None:
    mood = Moody([error] * tries)
    reader = reader_on(shards, mood)
    for opened in (tries + 1, tries + 1):
        found = loaded(reader)
        assert len(mood.opened) == opened, "once for the other row group, too"
        lost = found["error"] != ""
        assert lost.tolist() == [True] * 6 + [False] * 5
        assert {text.split(":")[0] for text in found["error"][lost]} == {type(error).__name__}
        assert all(str(error) in text for text in found["error"][lost])
        assert found["image"][~lost].any(axis=(1, 2, 3)).all()
        assert not found["image"][lost].any()
