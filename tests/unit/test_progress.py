"""Progress where there is no terminal: lines with rate and time left, each thing said once."""

import pytest

from hashnext import progress


def test_lines_tell_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress.meter("count", 100, "posts") as meter:
        for done in (0, 25, 25, 100):
            meter.update(done, f"at {done}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "count: 25 of 100 posts",
        "count: 100 of 100 posts",
    ]
    assert "/s, " in lines[0]
    assert lines[0].endswith("s left)  at 25")


def test_few_updates_in_a_short_time_give_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.meter("count", 0, "posts") as meter:
        for done in range(1, 50):
            meter.update(done)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("count: 49 posts (")


def test_work_that_starts_again_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress.meter("count", 100, "posts") as meter:
        meter.update(25)
        meter.update(0)
    assert capsys.readouterr().err.splitlines()[-1].startswith("count: 0 of 100 posts (0/s)")
