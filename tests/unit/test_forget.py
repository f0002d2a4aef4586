"""Posts taken out of shards: nothing of them left, nothing else touched, whole at every moment."""

import base64
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashnext.errors import DataError, StateError
from hashnext.posts.readers import PostSource
from hashnext.posts.tombstones import Tombstones
from hashnext.shards.forget import Forgotten, forget
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder
from jobs.forget import Forget, main
from tests.shards_by_hand import (
    assert_manifest_fits,
    assert_whole,
    contents,
    copy_of,
    everything_in,
    killed_at,
    make_shards,
    rows_of,
    smooth_posts,
)

REPO = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEPT_ORIGINAL, EXACT_COPY, PRIVATE = "post007", "z-copy-of-7", "post000"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """40 posts in four parts, eight of them private, and two copies."""
    posts = smooth_posts(40)
    posts.insert(25, copy_of(posts[7], EXACT_COPY))
    posts.insert(31, copy_of(posts[8], "z-copy-of-8"))
    shards = make_shards(tmp_path_factory.mktemp("made") / "shards", posts, part_rows=11)
    assert_whole(shards)
    return shards


@pytest.fixture
def shards(made: Folder, tmp_path: Path) -> Folder:
    """A copy of them for one test."""
    shutil.copytree(made.path, tmp_path / "shards")
    return Folder.at(tmp_path / "shards")


def take_down(shards: Folder, tombstones: Tombstones, *post_ids: str) -> Forgotten:
    return forget(shards, post_ids, tombstones)


def test_a_post_goes_with_everything_that_shows_it(shards: Folder, tombstones: Tombstones) -> None:
    before = {row["post_id"]: row for row in rows_of(shards)}
    picture = before["post012"]["image"]
    assert isinstance(picture, bytes)
    assert picture in everything_in(shards)
    done = take_down(shards, tombstones, "post012", "post013")
    assert done.removed == ["post012", "post013"]
    assert_whole(shards)
    left = everything_in(shards)
    for trace in (picture, b"post012", b"post013", b"tag012"):
        assert trace not in left
    expected = [row for row in before.values() if row["post_id"] not in done.removed]
    assert rows_of(shards) == expected


def test_only_the_parts_that_hold_it_are_written(shards: Folder, tombstones: Tombstones) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in Path(shards.path).glob("part-*")}
    take_down(shards, tombstones, "post012")
    after = {path.name: path.stat().st_mtime_ns for path in Path(shards.path).glob("part-*")}
    assert len(before.items() & after.items()) == len(before) - 1 == len(after) - 1
    (new,) = after.keys() - before.keys()
    assert re.fullmatch(r"part-000001-[0-9a-f]{12}\.parquet", new)


def test_the_record_names_both_fingerprints(shards: Folder, tombstones: Tombstones) -> None:
    started = datetime.now(UTC)
    done = take_down(shards, tombstones, "post012", PRIVATE, "elsewhere")
    assert done.before.fingerprint != done.after.fingerprint == Manifest.read(shards).fingerprint
    rows = {row["post_id"]: row for row in tombstones.table().to_pylist()}
    assert started <= rows["post012"].pop("time") <= datetime.now(UTC)
    assert rows["post012"] == {
        "post_id": "post012", "shards": shards.location, "before": done.before.fingerprint,
        "after": done.after.fingerprint,
    }  # fmt: skip
    for absent in (PRIVATE, "elsewhere"):  # a private post was never in the rows
        assert (rows[absent]["before"], rows[absent]["after"]) == (None, None)


def test_a_private_post_leaves_the_quarantine(shards: Folder, tombstones: Tombstones) -> None:
    before = Manifest.read(shards)
    done = take_down(shards, tombstones, PRIVATE)
    assert done.removed == []
    assert_whole(shards)
    assert done.after.fingerprint == before.fingerprint
    assert done.after.quarantined["private"] == before.quarantined["private"] - 1
    assert PRIVATE.encode() not in everything_in(shards)


def test_a_copy_goes_from_quarantine_preview_and_page(
    shards: Folder, tombstones: Tombstones
) -> None:
    page = shards.read_bytes("duplicates.html").decode()
    assert "2 posts removed as copies" in page
    preview = base64.b64encode(preview_of(shards, EXACT_COPY)).decode()
    assert preview in page
    done = take_down(shards, tombstones, EXACT_COPY)
    assert done.copies == []
    assert_whole(shards)
    left = everything_in(shards)
    assert EXACT_COPY.encode() not in left
    page = shards.read_bytes("duplicates.html").decode()
    assert "1 posts removed as copies" in page
    assert page.count("<figure>") == 1
    assert "z-copy-of-8" in page


def test_the_post_that_others_are_copies_of_is_named_nowhere(
    shards: Folder, tombstones: Tombstones
) -> None:
    done = take_down(shards, tombstones, KEPT_ORIGINAL)
    assert done.copies == [EXACT_COPY]
    assert_whole(shards)
    assert KEPT_ORIGINAL.encode() not in everything_in(shards)
    details = {row["post_id"]: row["detail"] for row in quarantine_of(shards)}
    assert details[EXACT_COPY] == "a forgotten post, 0 bits apart"
    assert details["z-copy-of-8"] == "post008, 0 bits apart"
    page = shards.read_bytes("duplicates.html").decode()
    assert "2 posts, 1 of them not shown" in page
    assert take_down(shards, tombstones, EXACT_COPY).copies == []
    assert_whole(shards)


def test_again_does_nothing(shards: Folder, tombstones: Tombstones) -> None:
    ids = ("post012", PRIVATE, KEPT_ORIGINAL, "elsewhere")
    take_down(shards, tombstones, *ids)
    before = stamps(shards, tombstones)
    assert take_down(shards, tombstones, *ids).removed == []
    assert stamps(shards, tombstones) == before


def test_posts_taken_down_elsewhere_go_as_well(shards: Folder, tombstones: Tombstones) -> None:
    tombstones.bury([], ["post012"], {"shards": "/others", "before": "b", "after": "a"}, NOW)
    done = take_down(shards, tombstones)
    assert done.removed == ["post012"]
    assert_whole(shards)
    before = {row["shards"]: row["before"] for row in tombstones.table().to_pylist()}
    assert before == {"/others": None, shards.location: done.before.fingerprint}


def test_a_part_without_posts_left_and_shards_without_parts(
    shards: Folder, tombstones: Tombstones
) -> None:
    first = [str(row["post_id"]) for row in shards.read_table("part-000000.parquet").to_pylist()]
    done = take_down(shards, tombstones, *first)
    assert len(done.after.files) == len(done.before.files) - 1
    assert_whole(shards)
    take_down(shards, tombstones, *[str(row["post_id"]) for row in rows_of(shards)])
    assert Manifest.read(shards).files == ()
    assert_whole(shards)


def test_shards_without_the_notes_of_their_making(shards: Folder, tombstones: Tombstones) -> None:
    shutil.rmtree(Path(shards.path, "records"))
    for name in ("duplicates.html", "result.json"):
        shards.delete(name)
    assert take_down(shards, tombstones, "post012", KEPT_ORIGINAL).removed == [
        KEPT_ORIGINAL, "post012",
    ]  # fmt: skip
    assert_manifest_fits(shards)
    assert b"post012" not in everything_in(shards)


def test_leftovers_of_killed_writers_go(shards: Folder, tombstones: Tombstones) -> None:
    shards.write_bytes("part-000001.parquet.77.tmp", b"half of post012")
    shards.write_bytes("records/identity-000001.parquet.77.tmp", b"half of post012")
    take_down(shards, tombstones, "post012")
    assert b"post012" not in everything_in(shards)


def test_killed_at_any_step_it_ends_in_the_same_state(
    shards: Folder, tombstones: Tombstones, tmp_path: Path
) -> None:
    ids = ("post012", "post033", PRIVATE, KEPT_ORIGINAL, EXACT_COPY, "elsewhere")
    undisturbed = Folder.at(tmp_path / "undisturbed")
    shutil.copytree(shards.path, undisturbed.path)
    take_down(undisturbed, Tombstones(Folder.at(tmp_path / "others")), *ids)
    assert_whole(undisturbed)
    step = 0
    while True:
        trial = Folder.at(tmp_path / f"killed{step}")
        shutil.copytree(shards.path, trial.path)
        book = Tombstones(Folder.at(tmp_path / f"tombstones{step}"))
        killed = killed_at(step, lambda: take_down(trial, book, *ids))  # noqa: B023 - called here
        assert_manifest_fits(trial)
        assert PostSource.open(trial.location).rows == Manifest.read(trial).rows
        take_down(trial, book, *ids)
        assert contents(trial) == contents(undisturbed)
        records = {row["post_id"]: row for row in book.table().to_pylist()}
        assert len(book.folder.names()) == 1
        assert records.keys() == {*ids}
        assert records["post012"]["after"] == Manifest.read(trial).fingerprint
        if not killed:
            break
        step += 1
    assert step > 15  # two parts, tombstones, manifest, notes, page, quarantine, result, old files


SUBSETS = st.sets(st.sampled_from(
    [*(f"post{n:03d}" for n in range(0, 40, 3)), KEPT_ORIGINAL, EXACT_COPY, "elsewhere"]
))  # fmt: skip


@given(first=SUBSETS, second=SUBSETS)
@settings(max_examples=15)
def test_one_after_the_other_is_both_at_once(
    made: Folder, tmp_path_factory: pytest.TempPathFactory, first: set[str], second: set[str]
) -> None:
    root = tmp_path_factory.mktemp("trial")
    folders = [Folder.at(root / name) for name in ("in_turn", "at_once")]
    books = [Tombstones(Folder.at(root / f"{name}_tombstones")) for name in ("in_turn", "at_once")]
    for folder in folders:
        shutil.copytree(made.path, folder.path)
    take_down(folders[0], books[0], *first)
    assert_whole(folders[0])
    take_down(folders[0], books[0], *second)
    take_down(folders[1], books[1], *(first | second))
    assert_whole(folders[0])
    assert contents(folders[0]) == contents(folders[1])
    assert books[0].ids() == books[1].ids()
    expected = [row for row in rows_of(made) if row["post_id"] not in first | second]
    assert rows_of(folders[0]) == expected
    shutil.rmtree(root)


def test_a_second_takedown_at_the_same_time_is_refused(
    shards: Folder, tombstones: Tombstones
) -> None:
    holder = os.open(shards.path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(StateError, match=r"another jobs\.forget"):
        take_down(shards, tombstones, "post012")
    os.close(holder)
    assert take_down(shards, tombstones, "post012").removed == ["post012"]


def test_a_takedown_that_comes_between_is_not_overwritten(
    shards: Folder, tombstones: Tombstones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashnext.shards.forget._alone", nullcontext)  # as on an object store
    bury = Tombstones.bury

    def interrupted(*arguments: Any) -> None:
        monkeypatch.setattr(Tombstones, "bury", bury)
        bury(*arguments)
        take_down(shards, Tombstones(Folder.at(f"{shards.location}-other-book")), "post013")

    monkeypatch.setattr(Tombstones, "bury", interrupted)
    with pytest.raises(StateError, match=r"another jobs\.forget changed them"):
        take_down(shards, tombstones, "post012")
    assert_whole(shards)
    assert take_down(shards, tombstones, "post012").removed == ["post012"]
    assert_whole(shards)
    assert not {"post012", "post013"} & {row["post_id"] for row in rows_of(shards)}


def test_a_takedown_whose_new_files_were_swept_away_is_refused(
    shards: Folder, tombstones: Tombstones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashnext.shards.forget._alone", nullcontext)
    bury = Tombstones.bury

    def interrupted(*arguments: Any) -> None:
        monkeypatch.setattr(Tombstones, "bury", bury)
        bury(*arguments)
        take_down(shards, Tombstones(Folder.at(f"{shards.location}-other-book")))

    monkeypatch.setattr(Tombstones, "bury", interrupted)
    with pytest.raises(StateError, match=r"another jobs\.forget changed them"):
        take_down(shards, tombstones, "post012")
    assert_whole(shards)


def test_a_damaged_part_gets_no_fresh_checksum(shards: Folder, tombstones: Tombstones) -> None:
    path = Path(shards.path, "part-000001.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"part-000001\.parquet: .*(SHA-256|cannot be read)"):
        take_down(shards, tombstones, "post012")
    assert len(tombstones.ids()) == 0


@pytest.fixture
def ids_file(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text("post012\npost013\nelsewhere\n")
    return path


def test_the_job_says_what_was_there_and_what_was_not(
    shards: Folder, tombstones: Tombstones, ids_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Forget(shards=shards.location, post_ids=str(ids_file))
    result = main(job)
    assert (result["removed"], result["not in these shards"]) == (2, 1)
    assert result["shard rows before"] - result["shard rows"] == 2
    assert "removed" in capsys.readouterr().out
    again = main(job)
    assert (again["removed"], again["posts taken down in all"]) == (0, 3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder, ids: ids.unlink(), "ids.txt: there is no such file"),
        (lambda folder, ids: ids.write_text("\n"), "ids.txt: holds no ids"),
        (lambda folder, ids: (folder / "manifest.json").unlink(), "shards: no manifest.json"),
        (lambda folder, ids: shutil.rmtree(folder), "shards: no manifest.json"),
    ],
)
def test_mistakes_leave_no_tombstone(
    shards: Folder, tombstones: Tombstones, ids_file: Path,
    spoil: Callable[[Path, Path], object], message: str,
) -> None:  # fmt: skip
    spoil(Path(shards.path), ids_file)
    command = [sys.executable, "-m", "jobs.forget", "--shards", shards.location]
    run = subprocess.run(
        [*command, "--post-ids", str(ids_file)], cwd=REPO, capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert len(tombstones.ids()) == 0


def preview_of(shards: Folder, post_id: str) -> bytes:
    """The small picture of a removed copy."""
    for path in Path(shards.path, "records").glob("removed-*.parquet"):
        rows = shards.read_table(f"records/{path.name}").to_pylist()
        if found := [row["image"] for row in rows if row["post_id"] == post_id]:
            return bytes(found[0])
    raise AssertionError(f"no preview of {post_id}")


def quarantine_of(shards: Folder) -> list[dict[str, Any]]:
    return list(shards.read_table("quarantine.parquet").to_pylist())


def stamps(shards: Folder, tombstones: Tombstones) -> dict[str, int]:
    """Time of the last change of every file."""
    return {
        str(path): path.stat().st_mtime_ns
        for folder in (shards, tombstones.folder)
        for path in Path(folder.path).rglob("*")
    }
