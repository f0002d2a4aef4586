"""Posts to shards: nothing lost, nothing private, nothing mixed, and the same after a stop."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import PRIVATE, TRUNCATED, Corpus, coloured_posts
from PIL import Image

from hashnext.errors import DataError, PrivacyError, StateError
from hashnext.images.decode import encode_jpeg
from hashnext.posts.readers import PostSource
from hashnext.shards.duplicates import DuplicatesConfig
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder
from jobs.prepare import Prepare, main
from tests.unit.test_decode import dds


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
    posts = coloured_posts(100)
    pq.write_table(pa.concat_tables([posts, posts.slice(8, 5)]), tmp_path / "posts.parquet")
    main(Prepare(posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32))
    manifest = Manifest.read(Folder.at(tmp_path / "out"))
    repeated = [n for n in range(8, 13) if n % PRIVATE and n % TRUNCATED]
    assert manifest.quarantined["repeated_post_id"] == len(repeated)
    assert manifest.input_posts == 105


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


def test_rows_that_are_no_posts_go_to_quarantine_and_count_as_bad(
    ray_session: None, tmp_path: Path
) -> None:
    lines = []
    for post in patterned_posts(300).to_pylist():
        (tmp_path / f"{post['post_id']}.jpg").write_bytes(post["image"])
        lines.append(json.dumps(post | {"image": f"{post['post_id']}.jpg"}))
    lines[280], lines[2] = lines[280][:20], "[]"
    (tmp_path / "posts.jsonl").write_text("\n".join(lines))
    job = Prepare(posts=str(tmp_path / "posts.jsonl"), out=str(tmp_path / "out"), size=32)
    with pytest.raises(DataError, match=r"2 of 300 .* 2 malformed, such as posts\.jsonl, line 3"):
        main(replace(job, max_bad_fraction=0.005))
    assert main(job)["counts"]["input_posts"] == 300
    assert pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist() == [
        {"post_id": f"posts.jsonl, line {number}", "stage": "read", "reason": "malformed",
         "detail": "not a JSON object in UTF-8"}
        for number in (3, 281)
    ]  # fmt: skip


def test_a_hostile_image_is_rejected_alone(ray_session: None, tmp_path: Path) -> None:
    posts = patterned_posts(12).to_pylist()
    posts[3]["image"] = dds(b"ZZZZ")
    pq.write_table(pa.Table.from_pylist(posts), tmp_path / "posts.parquet")
    job = Prepare(posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32)
    main(job)
    assert Manifest.read(Folder.at(tmp_path / "out")).quarantined == {"not_image": 1}
    pq.write_table(pa.table({"image": [dds(b"ZZZZ")]}), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet: image '0' cannot be decoded"):
        main(replace(
            job, out=str(tmp_path / "new"), exclude_similar_to=(str(tmp_path / "test.parquet"),)
        ))  # fmt: skip
    assert not (tmp_path / "new" / "records").exists(), "nothing was prepared"


def test_a_rotten_source_is_stopped_and_continued_with_a_larger_budget(
    ray_session: None, tmp_path: Path
) -> None:
    (tmp_path / "one.jpg").write_bytes(coloured_posts(2)["image"][1].as_py())
    rotten, sound, rows = 1024, 300, 1024 + 300
    posts = pa.table({
        "post_id": [f"post{n:05d}" for n in range(rows)], "public": [True] * rows,
        "image_uri": ["gone.jpg"] * rotten + ["one.jpg"] * sound, "hashtags": [["dog"]] * rows,
    })  # fmt: skip
    pq.write_table(posts, tmp_path / "posts.parquet", row_group_size=1024)
    job = Prepare(
        posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32,
        duplicates=DuplicatesConfig(remove="none"),
    )  # fmt: skip
    with pytest.raises(DataError, match="1,024 of 1,024 public posts so far are bad") as caught:
        main(job)
    assert "1,024 missing, such as post00000 (FileNotFoundError" in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()
    first = tmp_path / "out" / "records" / "part-000000.json"
    made = first.stat().st_mtime_ns
    assert main(replace(job, max_bad_fraction=1))["counts"]["shard_rows"] == sound
    assert first.stat().st_mtime_ns == made, "what was prepared is kept"
    assert Manifest.read(Folder.at(tmp_path / "out")).quarantined == {"missing": rotten}


def test_too_many_repeated_ids_are_found_at_the_end(ray_session: None, tmp_path: Path) -> None:
    posts = patterned_posts(10)
    pq.write_table(pa.concat_tables([posts] * 2), tmp_path / "posts.parquet")
    job = Prepare(posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32)
    with pytest.raises(DataError, match=r"10 of 20 public posts are bad.*10 repeated_post_id"):
        main(job)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert main(replace(job, max_bad_fraction=0.5))["counts"]["shard_rows"] == 10


def test_tinygram_is_sorted_as_its_truth_says(
    ray_session: None, real_data: Path, tmp_path: Path
) -> None:
    posts = str(real_data / "tinygram" / "posts.parquet")
    evaluation = [str(real_data / f"transfer/tiny_imagenet_{name}.parquet") for name in PROBE]
    main(
        Prepare(
            posts=posts, out=str(tmp_path / "out"), size=64, exclude_similar_to=tuple(evaluation)
        )
    )
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
    copies = {
        reason: {row["post_id"] for row in quarantine.to_pylist() if row["reason"] == reason}
        for reason in ("exact_duplicate", "near_duplicate", "similar_to_evaluation")
    }
    removed = set().union(*copies.values())
    assert {row["post_id"] for row in truth} - out - removed == kept
    assert set(quarantine["post_id"].to_pylist()) == out | removed
    assert_copies_are_those_of_the_truth(copies, truth, out)
    assert manifest.input_posts == len(truth) == manifest.rows + quarantine.num_rows
    assert manifest.quarantined["oversized"] == 1


PROBE = ("train", "test")


def assert_copies_are_those_of_the_truth(
    copies: dict[str, set[str]], truth: list[dict[str, Any]], out: set[str]
) -> None:
    """All exact copies, 99 % of the others, and at most two that the truth does not know.

    A copy of a post that is private or broken has nothing in the corpus that it could repeat.
    """
    issues = [(row["post_id"], *str(row["issue"]).partition(":")[::2]) for row in truth]
    copied = {
        kind: {copy for copy, issue, of in issues if issue == kind and of not in out}
        for kind in ("exact_duplicate", "near_duplicate", "eval_leak")
    }
    assert copies["exact_duplicate"] == copied["exact_duplicate"]
    for kind, reason in (
        ("near_duplicate", "near_duplicate"),
        ("eval_leak", "similar_to_evaluation"),
    ):
        assert len(copies[reason] & copied[kind]) >= 0.99 * len(copied[kind])
    assert len(set().union(*copies.values()) - set().union(*copied.values())) <= 2


def test_copies_are_removed_whatever_the_order_and_shown(ray_session: None, tmp_path: Path) -> None:
    posts = patterned_posts(40)
    again = posts.slice(5, 2).to_pylist()
    for number, row in enumerate(again):
        row["post_id"] = f"again{number}"
    turned = np.asarray(Image.open(io.BytesIO(again[1]["image"])))[:, ::-1]
    again[1]["image"] = encode_jpeg(np.ascontiguousarray(turned), 70)
    posts = pa.concat_tables([posts, pa.Table.from_pylist(again, schema=posts.schema)])
    kept = []
    for name, table in (("one", posts), ("other", posts.take(pa.array(range(41, -1, -1))))):
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=9)
        main(Prepare(posts=str(tmp_path / f"{name}.parquet"), out=str(tmp_path / name), size=32))
        shards = Folder.at(tmp_path / name)
        manifest = Manifest.read(shards)
        assert manifest.quarantined == {"exact_duplicate": 1, "near_duplicate": 1}
        kept.append(
            {i for f in manifest.files for i in shards.read_table(f.name)["post_id"].to_pylist()}
        )
        page = (tmp_path / name / "duplicates.html").read_text()
        assert "<b>post00005</b> of again0, 0 bits apart" in page
        assert page.count("data:image/jpeg;base64,") == 4
        assert "http" not in page
    assert kept[0] == kept[1] == set(posts["post_id"].to_pylist()) - {"post00005", "post00006"}


def test_a_run_killed_while_copies_are_taken_out_ends_with_the_same_bytes(
    ray_session: None, tmp_path: Path
) -> None:
    posts = patterned_posts(40)
    renamed = posts.set_column(0, "post_id", pa.array([f"copy{n:02d}" for n in range(40)]))
    both = pa.concat_tables([posts, renamed.slice(10, 20), posts.slice(12, 3)])
    pq.write_table(both, tmp_path / "posts.parquet", row_group_size=1024)
    job = Prepare(posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32)
    main(job)
    whole = (tmp_path / "out" / "manifest.json").read_bytes()
    quarantine = pq.read_table(tmp_path / "out" / "quarantine.parquet")
    for left in ("nothing", "part"):  # a settled part is kept, or made again from its posts
        for name in ("manifest.json", "result.json", "quarantine.parquet", "duplicates.html"):
            (tmp_path / "out" / name).unlink()
        if left == "part":
            next((tmp_path / "out").glob("part-*.parquet")).write_bytes(b"half")
        main(job)
        assert (tmp_path / "out" / "manifest.json").read_bytes() == whole
        assert pq.read_table(tmp_path / "out" / "quarantine.parquet") == quarantine
        assert (tmp_path / "out" / "duplicates.html").exists()


def test_posts_like_an_evaluation_image_are_named(ray_session: None, tmp_path: Path) -> None:
    posts = patterned_posts(12)
    pq.write_table(posts, tmp_path / "posts.parquet")
    labelled = posts.select(["image"]).slice(3, 1)
    pq.write_table(labelled, tmp_path / "test.parquet")
    job = Prepare(
        posts=str(tmp_path / "posts.parquet"), out=str(tmp_path / "out"), size=32,
        exclude_similar_to=(str(tmp_path / "test.parquet"),),
    )  # fmt: skip
    main(job)
    row = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()[0]
    assert row == {
        "post_id": "post00003", "stage": "duplicates", "reason": "similar_to_evaluation",
        "detail": "test.parquet: 0, 0 bits apart",
    }  # fmt: skip
    pq.write_table(posts.select(["image"]).slice(4, 2), tmp_path / "test.parquet")
    with pytest.raises(StateError, match="exclude_fingerprints"):
        main(job)


def test_shards_are_posts_without_their_records(corpus: Corpus) -> None:
    source = PostSource.open(corpus.shards)
    assert source.rows == Manifest.read(Folder.at(corpus.shards)).rows


def patterned_posts(count: int) -> pa.Table:
    """Public posts, each of another smooth random picture of 64 x 48 px."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        image = np.asarray(coarse.resize((64, 48), Image.Resampling.BICUBIC))
        rows.append({
            "post_id": f"post{number:05d}", "image": encode_jpeg(image), "hashtags": ["dog"],
            "public": True,
        })  # fmt: skip
    return pa.Table.from_pylist(rows)
