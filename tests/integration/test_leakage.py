"""`jobs.leakage` and what `jobs.transfer` makes of its report, on real shards."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.evaluation.lower_bound import Leaked
from hashnext.images.decode import encode_jpeg
from hashnext.posts.identity import held_out, post_keys
from hashnext.shards.duplicates import DuplicatesConfig
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder
from jobs import leakage, prepare
from jobs.leakage import LeakageJob
from tests.unit.test_duplicates import picture

POSTS = [f"post{number}" for number in range(41)]
IDS = ["trained", "held out", "new", "newer"]


def write(path: Path, **columns: object) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> LeakageJob:
    """Shards of forty pictures and a copy of one, and an evaluation set that shows two of them and
    two others."""
    folder = tmp_path_factory.mktemp("leakage")
    images = [encode_jpeg(picture(number)) for number in range(len(POSTS) - 1)]
    images.append(encode_jpeg(picture(30), 60))
    posts = write(
        folder / "posts.parquet", post_id=POSTS, image=images, hashtags=[["dog"]] * len(POSTS),
        public=[True] * len(POSTS),
    )  # fmt: skip
    all_of_them = DuplicatesConfig(remove="none")
    shards = str(folder / "shards")
    prepare.main(prepare.Prepare(posts=posts, out=shards, size=64, duplicates=all_of_them))
    out = held_out(post_keys(pa.array(POSTS)))
    trained, kept = int(np.flatnonzero(~out)[0]), int(np.flatnonzero(out)[0])
    shown = [picture(trained), picture(kept)[:, ::-1], picture(100), picture(101)]
    evaluation = write(
        folder / "test.parquet", id=IDS,
        image=[encode_jpeg(np.ascontiguousarray(image), 60) for image in shown],
    )  # fmt: skip
    return LeakageJob(shards=shards, evaluation=evaluation, out=str(folder / "out"))


@pytest.fixture(scope="module")
def result(job: LeakageJob) -> dict[str, object]:
    return leakage.main(job)


def test_copies_are_found_and_held_out_posts_told_apart(
    job: LeakageJob, result: dict[str, object]
) -> None:
    leaks = pq.read_table(Path(job.out) / "leaks.parquet")
    assert leaks.select(["id", "held_out"]).to_pylist() == [
        {"id": "held out", "held_out": True}, {"id": "trained", "held_out": False}
    ]  # fmt: skip
    assert result["counts"] == {
        "evaluation_images": 4, "leaked_images": 1, "posts_that_show_them": 2
    }  # fmt: skip
    assert leakage.main(job) == result


def test_the_lower_bound_counts_what_was_seen_as_wrong(
    job: LeakageJob, result: dict[str, object]
) -> None:
    leaked = Leaked.read(job.out, {}, IDS)
    correct = np.array([True, True, False])
    assert leaked.figures(["trained", "held out", "new"], correct) == {
        "leaked_test_images": 1, "top1_lower_bound": pytest.approx(1 / 3),
        "searched": Manifest.read(Folder.at(job.shards)).fingerprint,
        "trained_on_but_not_searched": None,
    }  # fmt: skip


def test_a_report_on_other_shards_is_refused(job: LeakageJob, result: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="about shards"):
        Leaked.read(job.out, {"dataset": "0" * 64}, IDS)
    with pytest.raises(StateError, match="not the --out of a finished"):
        Leaked.read(job.shards, {}, IDS)
    with pytest.raises(DataError, match=r"about other images: 1 of its ids .* 'trained'"):
        Leaked.read(job.out, {}, ["another"])
