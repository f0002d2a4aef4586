"""Job folders: half a job is never taken for a whole one, nor one job's for another's."""

from pathlib import Path

import pytest

from hashnext.errors import StateError
from hashnext.outputs import JobFolder, flatten
from hashnext.storage import Folder

SETTINGS = {"size": 64, "columns": {"post_id": "id"}, "blocks": (1, 2)}


def test_a_folder_is_new_then_half_done_then_finished(tmp_path: Path) -> None:
    new = JobFolder.claim(tmp_path / "out", "prepare", SETTINGS)
    assert not new.finished
    half = JobFolder.claim(tmp_path / "out", "prepare", SETTINGS)
    assert not half.finished
    half.finish({"rows": 3})
    whole = JobFolder.claim(tmp_path / "out", "prepare", SETTINGS)
    assert whole.finished
    assert whole.result()["rows"] == 3
    assert whole.result()["settings"]["columns.post_id"] == "id"


@pytest.mark.parametrize(
    ("job", "settings", "named"),
    [
        ("vocabulary", SETTINGS, "job (there 'prepare', now 'vocabulary')"),
        ("prepare", SETTINGS | {"size": 32}, "size (there 64, now 32)"),
        ("prepare", SETTINGS | {"columns": {"post_id": "key"}}, "columns.post_id (there 'id'"),
    ],
)
def test_other_jobs_and_settings_are_refused_by_name(
    tmp_path: Path, job: str, settings: dict[str, object], named: str
) -> None:
    JobFolder.claim(tmp_path, "prepare", SETTINGS)
    (tmp_path / "part").touch()
    with pytest.raises(StateError) as caught:
        JobFolder.claim(tmp_path, job, settings)
    assert named in str(caught.value)


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(StateError, match=r"holds files but no settings\.json"):
        JobFolder.claim(tmp_path, "prepare", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    folder.write_json("a.json", {"old": 1})
    with pytest.raises(TypeError):
        folder.write_bytes("a.json", object())  # type: ignore[arg-type]
    assert folder.read_json("a.json") == {"old": 1}


def test_settings_are_named_as_on_the_command_line() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": Path("x")}) == {"a.b.c": 1, "d": "x"}


def test_a_kill_while_claiming_does_not_lose_the_folder(tmp_path: Path) -> None:
    (tmp_path / "settings.json.123.tmp").write_text("{")
    assert not JobFolder.claim(tmp_path, "prepare", SETTINGS).finished
    assert JobFolder.claim(tmp_path, "prepare", SETTINGS).folder.has("settings.json")


def test_a_folder_that_nothing_was_done_in_can_be_claimed_anew(tmp_path: Path) -> None:
    JobFolder.claim(tmp_path, "prepare", SETTINGS)
    again = JobFolder.claim(tmp_path, "vocabulary", {"min_posts": 5})
    assert again.finish({})["settings"] == {"job": "vocabulary", "min_posts": 5}
