"""`jobs.compare` on vocabularies in folders: its files, its second run, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.hashtags.comparison.hashtags import HASHTAG_CHANGES
from hashnext.hashtags.comparison.labels import LABEL_CHANGES
from hashnext.hashtags.vocabulary import DECISIONS, LABELS, Vocabulary
from hashnext.storage import Folder
from jobs.compare import CompareJob, main

REPO = Path(__file__).resolve().parents[2]


def save(folder: Path, labels: dict[str, str]) -> str:
    """Save a vocabulary of hashtags on ten posts each and their labels' wnids; returns the path."""
    wnids = sorted(set(labels.values()))
    rows = [
        {"label_id": i, "wnid": wnid, "wnids": [wnid], "name": wnid.upper(), "posts": 10,
         "hashtags": [tag for tag, label in labels.items() if label == wnid], "parents": []}
        for i, wnid in enumerate(wnids)
    ]  # fmt: skip
    decisions = [
        {"hashtag": tag, "normalised": tag, "posts": 10, "label_id": wnids.index(label),
         "rule": "lemma", "reason": f"names {label}"}
        for tag, label in labels.items()
    ]  # fmt: skip
    Vocabulary(
        pa.Table.from_pylist(rows, LABELS), pa.Table.from_pylist(decisions, DECISIONS),
        {"posts": 100, "labelled": 10 * len(labels), "source": "same"},
    ).save(Folder.at(folder))  # fmt: skip
    return str(folder)


@pytest.fixture
def job(tmp_path: Path) -> CompareJob:
    before = save(tmp_path / "a", {"dog": "n1", "puppy": "n2", "asp": "n3"})
    after = save(tmp_path / "b", {"dog": "n1", "puppy": "n1"})
    return CompareJob(vocabulary=(before, after), out=str(tmp_path / "out"))


def test_the_folder_is_whole_and_a_second_run_does_nothing(
    job: CompareJob, capsys: pytest.CaptureFixture[str]
) -> None:
    result = main(job)
    out = Path(job.out)
    assert json.loads((out / "result.json").read_text()) == result
    assert (
        result["labels"]["before"] | {"total": 3, "merged": 2, "lost": 1}
        == (result["labels"]["before"])
    )
    labels, tags = (pq.read_table(out / f"{name}.parquet") for name in ("labels", "hashtags"))
    assert labels.schema.equals(LABEL_CHANGES)
    assert tags.schema.equals(HASHTAG_CHANGES)
    assert dict(zip(labels["key"].to_pylist(), labels["change"].to_pylist(), strict=True)) == {
        "n1": "merged", "n2": "merged", "n3": "lost",
    }  # fmt: skip
    first = capsys.readouterr().out
    assert "from N1, N2" in first
    written = (out / "result.json").stat().st_mtime_ns
    assert main(job) == result
    assert (out / "result.json").stat().st_mtime_ns == written
    again = capsys.readouterr().out
    assert again.startswith(f"{out}: finished before")
    assert again.endswith(first)


def test_another_vocabulary_is_refused(job: CompareJob, tmp_path: Path) -> None:
    main(job)
    other = save(tmp_path / "c", {"dog": "n1"})
    with pytest.raises(StateError, match=r"settings: after\.fingerprint .*after\.vocabulary"):
        main(CompareJob(vocabulary=(job.vocabulary[0], other), out=job.out))
    save(tmp_path / "b", {"dog": "n1"})
    with pytest.raises(StateError, match=r"other settings: after\.fingerprint"):
        main(job)
    with pytest.raises(StateError, match=r"holds files but no settings\.json"):
        main(CompareJob(vocabulary=job.vocabulary, out=job.vocabulary[0]))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_other_than_two_vocabularies_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=r"vocabulary = .*exactly two"):
        CompareJob(vocabulary=("v",) * count, out="out")


@pytest.mark.parametrize("bad", ["missing", "empty", "file"])
def test_what_is_no_vocabulary_is_refused(job: CompareJob, tmp_path: Path, bad: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    with pytest.raises(DataError, match=rf"{bad}: holds no vocabulary.json"):
        main(CompareJob(vocabulary=(job.vocabulary[0], str(tmp_path / bad)), out=job.out))
    assert not Path(job.out).exists()


def test_the_command_line_takes_the_option_twice(job: CompareJob) -> None:
    one, other = job.vocabulary
    command = [sys.executable, "-m", "jobs.compare", "--out", job.out, "--vocabulary", one]
    alone = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "exactly two" in alone.stderr
    both = subprocess.run(
        [*command, "--vocabulary", other], cwd=REPO, capture_output=True, text=True
    )
    assert both.returncode == 0, both.stderr
    assert f"before: {one}\nafter: {other}\n" in both.stdout
