"""Choosing uv: from the machine, from the index, by the configured address."""

import importlib.util
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parents[2]
PAGE = """<html><body>
<a href="../files/uv-0.9.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl#sha256=a1">w</a>
<a href="../files/uv-0.10.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl#sha256=a2">w</a>
<a href="../files/uv-0.11.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
   data-yanked="broken">w</a>
<a href="../files/uv-0.12.0rc1-py3-none-manylinux_2_17_x86_64.whl">w</a>
<a href="../files/uv-0.10.0-py3-none-manylinux_2_17_aarch64.musllinux_1_1_aarch64.whl">w</a>
<a href="../files/uv-0.10.0-py3-none-musllinux_1_1_x86_64.whl">w</a>
<a href="../files/uv-0.10.0-py3-none-macosx_11_0_arm64.whl">w</a>
<a href="../files/uv-0.10.0-py3-none-win_amd64.whl">w</a>
<a href="../files/uv-0.13.0.tar.gz">w</a>
</body></html>"""


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    """infra/setup/uv.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("setup_uv", REPO / "infra/setup/uv.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "machine", "end"),
    [
        ("manylinux", "x86_64", "manylinux2014_x86_64.whl"),
        ("manylinux", "aarch64", "musllinux_1_1_aarch64.whl"),
        ("musllinux", "aarch64", "musllinux_1_1_aarch64.whl"),
        ("musllinux", "x86_64", "musllinux_1_1_x86_64.whl"),
        ("macosx", "arm64", "macosx_11_0_arm64.whl"),
    ],
)
def test_newest_sound_wheel_for_each_system(
    setup: ModuleType, kind: str, machine: str, end: str
) -> None:
    wheel = setup.newest(setup.read_links(PAGE, "https://index.test/simple/uv/"), kind, machine)
    assert wheel.version == (0, 10, 0), "neither the yanked release nor the candidate nor 0.9.2"
    assert wheel.url.startswith("https://index.test/simple/files/uv-0.10.0-")
    assert wheel.url.endswith(end)


def test_hash_comes_from_the_link(setup: ModuleType) -> None:
    links = setup.read_links(PAGE, "https://index.test/simple/uv/")
    assert setup.newest(links, "manylinux", "x86_64").sha256 == "a2"


def test_a_machine_without_a_wheel_is_named(setup: ModuleType) -> None:
    with pytest.raises(LookupError, match="manylinux on riscv64"):
        setup.newest(setup.read_links(PAGE, "https://index.test/"), "manylinux", "riscv64")


def test_a_changed_wheel_is_refused(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"uv-1.0.0-py3-none-{setup.kind_of_system()}_2_17_{platform.machine()}.whl"
    page = tmp_path / "simple" / "uv" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{name}#sha256={"0" * 64}">uv</a>')
    (page.parent / name).write_bytes(b"something else")
    with _served(tmp_path) as address:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{address}/simple")
        with pytest.raises(ValueError, match="SHA-256"):
            setup.by_wheel(tmp_path)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_configured_index_wins_over_the_lock(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(setup, "PIP_FILES", ())
    assert setup.index_url() in (REPO / "uv.lock").read_text()
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://files.test/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert setup.index_url() == "https://files.test/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.test/simple")
    assert setup.index_url() == "https://environment.test/simple"


@pytest.mark.parametrize(
    ("says", "usable"),
    [("echo uv 0.13.9", True), ("echo uv 0.2.1", False), ("echo no such version; exit 127", False)],
)
def test_only_a_working_recent_uv_is_used(
    setup: ModuleType, tmp_path: Path, says: str, usable: bool
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\n{says}\n")
    uv.chmod(0o755)
    assert setup.is_usable(uv) is usable


def test_when_no_way_works_each_is_named(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_hand(folder: Path) -> Path:
        raise OSError("nobody is there")

    monkeypatch.setattr(setup, "PRIVATE", tmp_path / ".uv")
    monkeypatch.setattr(setup, "WAYS", (by_hand,))
    with pytest.raises(SystemExit, match="by_hand: nobody is there"):
        setup.fetch(tmp_path / ".uv" / "bin" / "uv")
    assert not (tmp_path / ".uv" / "bin" / "uv").exists()
