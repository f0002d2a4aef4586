"""Every way to fetch uv, on this machine's bare Python with the system's own folders in PATH."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("missing", [(), ("pip",), ("pip", "venv")], ids=["pip", "venv", "wheel"])
def test_uv_is_fetched_once(tmp_path: Path, missing: tuple[str, ...]) -> None:
    (tmp_path / "infra" / "setup").mkdir(parents=True)
    shutil.copy(REPO / "infra/setup/uv.py", tmp_path / "infra" / "setup")
    shutil.copy(REPO / "uv.lock", tmp_path)
    environment = _environment_without(missing, tmp_path / "site")

    first = _uv_version(tmp_path, environment)
    assert first.stdout.startswith("uv ")
    assert "fetching" in first.stderr
    assert [path.name for path in (tmp_path / ".uv").rglob("*") if path.is_file()] == ["uv"]

    again = _uv_version(tmp_path, environment)
    assert again.stdout == first.stdout
    assert not again.stderr, "nothing is fetched a second time"


def _environment_without(modules: tuple[str, ...], site: Path) -> dict[str, str]:
    """A bare environment whose base interpreter lacks these modules, as Debian's may."""
    site.mkdir()
    lines = [f"    sys.modules[{module!r}] = None" for module in modules]
    body = ["import sys", "if sys.prefix == sys.base_prefix:", *lines, "    pass"]
    (site / "sitecustomize.py").write_text("\n".join(body))
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_", "HOME"))}
    proxies = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
    return kept | proxies | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site)}


def _uv_version(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [f"{sys.base_prefix}/bin/python3", "infra/setup/uv.py", "--version"],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
