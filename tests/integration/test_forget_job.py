"""A takedown through the whole pipeline: shards, vocabulary, training, lineage, and kill -9."""

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import Corpus

from hashnext.errors import StateError
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.posts.identity import held_out, post_keys
from hashnext.posts.tombstones import Tombstones
from hashnext.recipes import nano
from hashnext.registry.package import ModelPackage, write_package
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder
from hashnext.training.pretrain import plan
from jobs import forget, lineage, prepare, vocabulary
from tests.shards_by_hand import (
    assert_manifest_fits,
    assert_whole,
    contents,
    make_shards,
    rows_of,
    smooth_posts,
)

REPO = Path(__file__).resolve().parents[2]
LIMIT_S = 120


@pytest.fixture
def own(corpus: Corpus, tmp_path: Path) -> Corpus:
    """The corpus with shards and a vocabulary of this test's own, the latter from the shards."""
    shutil.copytree(corpus.shards, tmp_path / "shards")
    shards, labels = str(tmp_path / "shards"), str(tmp_path / "vocabulary")
    vocabulary.main(vocabulary.VocabularyJob(posts=shards, out=labels))
    return replace(corpus, shards=shards, vocabulary=labels)


def take_down(tmp_path: Path, shards: str, *post_ids: str) -> dict[str, object]:
    """Run the job on ids."""
    (tmp_path / "ids.txt").write_text("\n".join(post_ids))
    return forget.main(forget.Forget(shards=shards, post_ids=str(tmp_path / "ids.txt")))


def training_ids(shards: str, count: int) -> list[str]:
    """Ids of posts in the shards that are not held out."""
    rows = rows_of(Folder.at(shards))
    ids = [str(row["post_id"]) for row in rows]
    held = held_out(post_keys(pa.array(ids)))
    return [post_id for post_id, back in zip(ids, held, strict=True) if not back][:count]


def posts_counted(out: str) -> int:
    return int(Vocabulary.load(out).meta["posts"])


def test_counts_are_refused_then_made_anew_without_the_posts(
    own: Corpus, tombstones: Tombstones, tmp_path: Path
) -> None:
    gone = training_ids(own.shards, 3)
    before = posts_counted(own.vocabulary)
    take_down(tmp_path, own.shards, *gone)
    assert_whole(Folder.at(own.shards))
    again = vocabulary.VocabularyJob(posts=own.shards, out=own.vocabulary)
    with pytest.raises(StateError, match=r"made with other settings: source"):
        vocabulary.main(again)
    vocabulary.main(replace(again, out=str(tmp_path / "new")))
    assert posts_counted(str(tmp_path / "new")) == before - 3


def test_shards_not_rewritten_are_counted_without_and_not_trained_on(
    own: Corpus, tombstones: Tombstones, tmp_path: Path
) -> None:
    gone = training_ids(own.shards, 3)
    before = posts_counted(own.vocabulary)
    other = shutil.copytree(own.shards, tmp_path / "other")
    take_down(tmp_path, str(other), *gone)
    job = vocabulary.VocabularyJob(posts=own.shards, out=own.vocabulary)
    with pytest.raises(StateError, match="-without-3-tombstoned-"):
        vocabulary.main(job)
    vocabulary.main(replace(job, out=str(tmp_path / "new")))
    assert posts_counted(str(tmp_path / "new")) == before - 3
    config, labels = nano(), Vocabulary.load(own.vocabulary)
    with pytest.raises(StateError, match=rf"3 of their posts were taken down; .*{own.shards}"):
        plan(config, Folder.at(own.shards), labels)
    result = forget.main(forget.Forget(shards=own.shards))
    assert result["removed besides, taken down before"] == 3
    again = Vocabulary.load(tmp_path / "new")
    assert plan(config, Folder.at(own.shards), again).posts == result["shard rows"]
    with pytest.raises(StateError, match=r"counted before 3 posts .*jobs\.vocabulary"):
        plan(config, Folder.at(own.shards), labels)


def test_counts_are_old_only_by_what_the_shards_have_lost_since(
    own: Corpus, tombstones: Tombstones, tmp_path: Path
) -> None:
    first, second, third = training_ids(own.shards, 3)
    shards = Folder.at(own.shards)
    take_down(tmp_path, own.shards, "of another corpus")
    assert plan(nano(), shards, Vocabulary.load(own.vocabulary)).posts
    take_down(tmp_path, own.shards, first)
    job = vocabulary.VocabularyJob(posts=own.shards, out=str(tmp_path / "new"))
    vocabulary.main(job)
    assert plan(nano(), shards, Vocabulary.load(job.out)).posts
    take_down(tmp_path, own.shards, second)
    take_down(tmp_path, own.shards, third)
    with pytest.raises(StateError, match="counted before 2 posts"):
        plan(nano(), shards, Vocabulary.load(job.out))


def test_prepare_refuses_the_posts_by_name(
    own: Corpus, tombstones: Tombstones, tmp_path: Path
) -> None:
    private, sound = "post00007", "post00001"
    take_down(tmp_path, own.shards, sound, private, "of another corpus")
    job = prepare.Prepare(posts=own.posts, out=str(tmp_path / "new"), size=32)
    prepare.main(job)
    shards = Folder.at(job.out)
    rows = shards.read_table("quarantine.parquet").to_pylist()
    assert [row for row in rows if row["reason"] == "tombstoned"] == [
        {"post_id": post_id, "stage": "gate", "reason": "tombstoned", "detail": "taken down"}
        for post_id in (sound, private)
    ]
    manifest = Manifest.read(shards)
    assert manifest.quarantined["tombstoned"] == 2
    assert manifest.input_posts == 600 == manifest.rows + len(rows)
    assert {row["post_id"] for row in rows_of(shards)} == {
        row["post_id"] for row in rows_of(Folder.at(own.shards))
    }
    with pytest.raises(StateError, match=rf"counted before 2 posts .* shards {job.out} "):
        plan(nano(), shards, Vocabulary.load(own.vocabulary))
    with pytest.raises(StateError, match="source_fingerprint"):
        prepare.main(replace(job, out=own.shards))  # its settings are those of all the posts


def test_the_model_knows_what_it_has_seen(
    own: Corpus, tombstones: Tombstones, tiny_package: ModelPackage, tmp_path: Path
) -> None:
    trained = training_ids(own.shards, 2)
    rows = rows_of(Folder.at(own.shards))
    (kept_back, *_) = sorted(
        {str(row["post_id"]) for row in rows} - {*training_ids(own.shards, 999)}
    )
    packages = []
    for post_ids in ([trained[0]], [trained[1], kept_back], []):
        packages.append(write_package(
            Folder.at(tmp_path / f"model{len(packages)}"),
            state_dict=tiny_package.build().state_dict(), config=tiny_package.config,
            vocabulary=tiny_package.vocabulary, preprocess=tiny_package.preprocess,
            calibration=tiny_package.calibration,
            lineage={"dataset": Manifest.read(Folder.at(own.shards)).fingerprint},
        ))  # fmt: skip
        if post_ids:
            take_down(tmp_path, own.shards, *post_ids)
    found = [lineage.main(lineage.Lineage(model=package.folder.location)) for package in packages]
    assert [each["taken_down_trained_on"] for each in found] == [2, 1, 0]
    assert [each["taken_down_held_out"] for each in found] == [1, 1, 0]


def test_lineage_warns_of_takedowns_that_it_cannot_place(
    own: Corpus, tombstones: Tombstones, tiny_package: ModelPackage, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    package = write_package(
        Folder.at(tmp_path / "model"),
        state_dict=tiny_package.build().state_dict(), config=tiny_package.config,
        vocabulary=tiny_package.vocabulary, preprocess=tiny_package.preprocess,
        calibration=tiny_package.calibration,
        lineage={"dataset": Manifest.read(Folder.at(own.shards)).fingerprint},
    )  # fmt: skip
    (post,) = training_ids(own.shards, 1)
    other = make_shards(tmp_path / "other", smooth_posts(12), part_rows=6)
    job = lineage.Lineage(model=package.folder.location)
    assert lineage.main(job)["taken_down_trained_on"] == 0
    assert "warning" not in capsys.readouterr().out
    take_down(tmp_path, other.location, post)
    assert lineage.main(job)["taken_down_trained_on"] == 0
    assert "warning: 1 other posts were taken down" in capsys.readouterr().out
    forget.main(forget.Forget(shards=own.shards))
    assert lineage.main(job)["taken_down_trained_on"] == 1
    assert "warning" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_takedown_ends_in_the_same_state(
    tombstones: Tombstones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed among the 30 new parts, about the manifest, and among the notes cleaned after it."""
    made = make_shards(tmp_path / "made", smooth_posts(300, private=7), part_rows=10)
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join([*(str(row["post_id"]) for row in rows_of(made)[::4]), "elsewhere"]))
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(made.path, undisturbed)
    assert start(undisturbed, ids).wait(LIMIT_S) == 0
    assert_whole(Folder.at(undisturbed))
    state = contents(Folder.at(undisturbed))
    stopped_before = 0
    for changes in (1, 25, 31, 33, 60, 90):
        shards, book = tmp_path / f"killed{changes}", tmp_path / f"tombstones{changes}"
        shutil.copytree(made.path, shards)
        book.mkdir()
        monkeypatch.setenv("HASHNEXT_TOMBSTONES", str(book))
        kill_after(start(shards, ids), shards, book, changes)
        stopped_before += contents(Folder.at(shards)) != state
        assert_manifest_fits(Folder.at(shards))
        assert start(shards, ids).wait(LIMIT_S) == 0
        assert contents(Folder.at(shards)) == state
        assert len(Tombstones.open().ids()) == len(ids.read_text().split())
    assert stopped_before >= 3


def start(shards: Path, ids: Path) -> subprocess.Popen[bytes]:
    command = ["jobs.forget", "--shards", str(shards), "--post-ids", str(ids)]
    return subprocess.Popen([sys.executable, "-m", *command], cwd=REPO)


def kill_after(process: subprocess.Popen[bytes], shards: Path, book: Path, changes: int) -> None:
    """Kill -9 once so many files are new or changed, or after the end."""

    def look() -> set[tuple[str, int]]:
        found = set()
        for folder in (shards, book):
            for path in folder.rglob("*"):
                try:
                    found.add((str(path), path.stat().st_mtime_ns))
                except FileNotFoundError:
                    continue  # renamed or deleted meanwhile
        return found

    before = look()
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None and len(look() - before) < changes:
        assert time.monotonic() < deadline
    process.kill()
    process.wait()
