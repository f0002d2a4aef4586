"""What the environment says."""

import os

import pytest

from hashnext import cluster, settings
from hashnext.errors import ConfigError


def test_cores_are_those_of_the_machine_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HASHNEXT_CORES")
    assert settings.cores() == os.cpu_count()
    monkeypatch.setenv("HASHNEXT_CORES", "3")
    assert settings.cores() == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_no_number_of_cores(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HASHNEXT_CORES", value)
    with pytest.raises(ConfigError, match=f"HASHNEXT_CORES = '{value}': must be a whole number"):
        settings.cores()
    with pytest.raises(ConfigError, match="HASHNEXT_CORES"), cluster.session():
        raise AssertionError("a worker would be the first to notice")


@pytest.mark.parametrize(("programs", "share"), [(1, 3), (2, 1), (4, 1)])
def test_programs_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, programs: int, share: int
) -> None:
    monkeypatch.setenv("HASHNEXT_CORES", "3")
    with settings.sharing_cores(programs):
        assert settings.cores() == share
    assert settings.cores() == 3
    monkeypatch.delenv("HASHNEXT_CORES")
    with settings.sharing_cores(1):
        assert settings.cores() == os.cpu_count()
    assert "HASHNEXT_CORES" not in os.environ
