"""Posts to shards: nothing lost, nothing private, nothing mixed, and the same after a stop."""

import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import PRIVATE, TRUNCATED, Corpus, coloured_posts
from PIL import Image

from hashnext.errors import PrivacyError, StateError
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder
from jobs.prepare import Prepare, main


def test_every_post_is_a_shard_row_or_in_quarantine(corpus: Corpus) -> None:
    shards = Folder.at(corpus.shards)
    manifest = Manifest.read(shards)
    kept = [row for f in manifest.files for row in shards.read_table(f.name).to_pylist()]
    quarantine = shards.read_table("quarantine.parquet").to_pylist()
    private = {f"post{n:05d}" for n in range(0, 600, PRIVATE)}
    truncated = {f"post{n:05d}" for n in range(0, 600, TRUNCATED)} - private
    by_reason = {
        reason: {row["post_id"] for row in quarantine if row["reason"] == reason}
        for reason in manifest.quarantined
    }
    assert by_reason == {"private": private, "truncated": truncated}
    assert {row["post_id"] for row in kept} == {
        f"post{n:05d}" for n in range(600)
    } - private - truncated
    assert manifest.input_posts == 600 == len(kept) + len(quarantine)


def test_images_are_shrunk_jpegs_without_metadata(corpus: Corpus) -> None:
    shards = Folder.at(corpus.shards)
    for row in shards.read_table(Manifest.read(shards).files[0].name).slice(0, 20).to_pylist():
        image = Image.open(io.BytesIO(row["image"]))
        assert image.format == "JPEG"
        assert image.size == (row["width"], row["height"]) == (38, 32)
        assert not image.getexif()


def test_a_second_run_does_nothing(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((p.name, p.stat().st_mtime_ns) for p in Path(corpus.shards).iterdir())
    main(Prepare(posts=corpus.posts, out=corpus.shards, size=32))
    assert "nothing to do" in capsys.readouterr().out
    assert before == sorted((p.name, p.stat().st_mtime_ns) for p in Path(corpus.shards).iterdir())


def test_other_settings_are_refused_by_name(corpus: Corpus) -> None:
    with pytest.raises(StateError, match=r"other settings: size \(there 32, now 64\)"):
        main(Prepare(posts=corpus.posts, out=corpus.shards, size=64))


def test_a_half_finished_folder_is_continued_to_the_same_bytes(
    corpus: Corpus, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    shutil.copytree(corpus.shards, half)
    whole = (half / "manifest.json").read_bytes()
    for name in ("manifest.json", "result.json", "quarantine.parquet"):
        (half / name).unlink()
    part = next(half.glob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:100])  # killed while it was being replaced
    main(Prepare(posts=corpus.posts, out=str(half), size=32))
    assert (half / "manifest.json").read_bytes() == whole
    assert json.loads((half / "result.json").read_text())["counts"]["input_posts"] == 600


def test_a_repeated_post_id_is_kept_once(ray_session: None, tmp_path: Path) -> None:
    posts = coloured_posts(24)
    pq.write_table(pa.concat_tables([posts, posts.slice(8, 5)]), tmp_path / "posts.parquet")
    main(Prepare(posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32))
    manifest = Manifest.read(Folder.at(tmp_path / "out"))
    repeated = [n for n in range(8, 13) if n % PRIVATE and n % TRUNCATED]
    assert manifest.quarantined["repeated_post_id"] == len(repeated)
    assert manifest.input_posts == 29


def test_posts_and_shards_may_be_uris(ray_session: None, tmp_path: Path) -> None:
    pq.write_table(coloured_posts(12), tmp_path / "posts.parquet")
    root = tmp_path.as_uri()
    main(Prepare(posts=f"{root}/posts.parquet", out=f"{root}/out", size=32))
    assert Manifest.read(Folder.at(f"{root}/out")).rows == 9


def test_posts_must_be_stated_public(ray_session: None, tmp_path: Path) -> None:
    pq.write_table(coloured_posts(12).drop_columns("public"), tmp_path / "posts.parquet")
    with pytest.raises(PrivacyError, match="public"):
        main(Prepare(posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
    main(
        Prepare(
            posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), assume_public=True
        )
    )
    assert Manifest.read(Folder.at(tmp_path / "out")).quarantined == {"truncated": 2}


def test_a_manifest_with_image_files_beside_it(ray_session: None, tmp_path: Path) -> None:
    lines = []
    for post in coloured_posts(12, seed=2).to_pylist():
        name = f"{post['post_id']}.jpg"
        if post["post_id"] != "post00005":
            (tmp_path / name).write_bytes(post["image"])
        lines.append(json.dumps(post | {"image": name}))
    (tmp_path / "posts.jsonl").write_text("\n".join(lines))
    main(Prepare(posts=str(tmp_path / "posts.jsonl"), out=str(tmp_path / "out"), size=32))
    manifest = Manifest.read(Folder.at(tmp_path / "out"))
    assert manifest.quarantined == {"missing": 1, "private": 2, "truncated": 1}
    assert manifest.input_posts == 12 == manifest.rows + 4


def test_tinygram_is_sorted_as_its_truth_says(
    ray_session: None, real_data: Path, tmp_path: Path
) -> None:
    posts = str(real_data / "tinygram" / "posts.parquet")
    main(Prepare(posts=posts, out=str(tmp_path / "out"), size=64))
    shards = Folder.at(tmp_path / "out")
    manifest = Manifest.read(shards)
    quarantine = shards.read_table("quarantine.parquet")
    kept = {i for f in manifest.files for i in shards.read_table(f.name)["post_id"].to_pylist()}
    truth = pq.read_table(real_data / "tinygram" / "truth.parquet").to_pylist()
    public = dict(
        zip(*pq.read_table(posts, columns=["post_id", "public"]).to_pydict().values(), strict=True)
    )
    broken = {"truncated", "empty", "not_image", "bomb"}
    out = {row["post_id"] for row in truth if row["issue"] in broken or not public[row["post_id"]]}
    assert {row["post_id"] for row in truth} - out == kept
    assert set(quarantine["post_id"].to_pylist()) == out
    assert manifest.input_posts == len(truth) == manifest.rows + quarantine.num_rows
    assert manifest.quarantined["oversized"] == 1
