"""Preparing in several parts: killed at any step, or damaged since, it ends with the same bytes."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext.errors import DataError
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Unit
from hashnext.shards import prepare as module
from hashnext.shards import records
from hashnext.shards.budget import ErrorBudget
from hashnext.shards.part import PrepareConfig
from hashnext.shards.prepare import prepare, prepare_part
from hashnext.storage import Folder
from tests.shards_by_hand import (
    CONFIG,
    assert_manifest_fits,
    contents,
    copy_of,
    killed_at,
    smooth_posts,
)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostSource:
    """Six parts: one whose posts are all copies of posts of others, and an id that comes twice."""

    def in_this_process(
        source: PostSource, out: Folder, config: PrepareConfig, parts: list[list[Unit]],
        todo: list[int],
    ) -> Iterator[int]:  # fmt: skip
        for part in todo:
            task = {"part": [part], "units": [pickle.dumps(parts[part])]}
            prepare_part(task, replace(source, units=()), out, config)
            yield part

    monkeypatch.setattr(module, "_run_parts", in_this_process)
    monkeypatch.setattr(module, "PART_ROWS", 4)
    posts = smooth_posts(16)
    posts[8:8] = [copy_of(posts[n], f"z{n}") for n in (1, 2, 13, 14)]
    posts.append(posts[6])
    table = pa.Table.from_pylist(posts).drop_columns(["image_uri", "problem"])
    pq.write_table(table, tmp_path / "posts.parquet", row_group_size=4)
    return PostSource.open(tmp_path / "posts.parquet")


class Silent:
    """A meter that shows nothing."""

    def update(self, done: float, note: str = "") -> None:
        """See `Meter`."""


def make(source: PostSource, out: Folder) -> dict[str, bytes]:
    """Prepare and return the bytes of every file."""
    prepare(source, out, CONFIG, Silent(), (), ErrorBudget())
    return contents(out)


def test_killed_at_any_step_it_ends_with_the_same_bytes(source: PostSource, tmp_path: Path) -> None:
    whole = make(source, Folder.at(tmp_path / "undisturbed"))
    assert_manifest_fits(Folder.at(tmp_path / "undisturbed"))
    assert len([name for name in whole if name.startswith("records/removed-")]) == 2
    step = 0
    out = Folder.at(tmp_path / "killed0")
    while killed_at(step, lambda: make(source, out), leave_half=True):  # noqa: B023
        assert not out.has("manifest.json")
        assert make(source, out) == whole
        step += 1
        out = Folder.at(tmp_path / f"killed{step}")
    assert step == 3 * 6 + 3 * 2 + 3  # parts, parts without copies, page, quarantine, manifest


@pytest.mark.parametrize(
    "name", ["part-000001.parquet", "part-000002.parquet", records.identity_name(1)]
)
@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_a_part_that_is_not_what_was_written_is_made_again(
    source: PostSource, tmp_path: Path, name: str, how: str
) -> None:
    out = Folder.at(tmp_path / "out")
    whole = make(source, out)
    out.delete("manifest.json")
    path, data = Path(out.file(name)), bytearray(whole[name])
    if how == "changed":  # the length stays; in the notes it is the end that tells
        data[-12:] = bytes(12)
    path.write_bytes(data[:20] if how == "cut" else data)
    if how == "gone":
        path.unlink()
    assert make(source, out) == whole


def test_posts_that_are_neither_kept_nor_in_quarantine_are_an_error(
    source: PostSource, tmp_path: Path
) -> None:
    first, *others = source.units
    assert first.rows is not None
    wrong = replace(source, units=(replace(first, rows=first.rows + 1), *others))
    with pytest.raises(
        DataError, match=r"posts\.parquet said to hold 5 posts, of which 4 were read"
    ):
        make(wrong, Folder.at(tmp_path / "out"))
    assert not Path(tmp_path / "out" / "manifest.json").exists()
