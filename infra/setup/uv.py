"""Run uv, fetching it into `.uv/` first when the machine has none.

    python3 infra/setup/uv.py sync --locked

Needs Python 3.11 and its standard library, nothing else. The ways to fetch uv are tried in the
order of `WAYS`; each honours the package index that the user has configured.
"""

import configparser
import hashlib
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin

REPO = Path(__file__).resolve().parents[2]
PRIVATE = REPO / ".uv"
OLDEST = (0, 8)
"""Oldest uv whose `sync --locked` is known to accept uv.lock."""
REQUIREMENT = f"uv>={'.'.join(map(str, OLDEST))}"
TIMEOUT_S = 60.0
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
"""Where pip keeps its settings; a later file overrides an earlier one."""


class Wheel(NamedTuple):
    """A wheel of uv on the index."""

    version: tuple[int, ...]
    url: str
    sha256: str
    """Hexadecimal, or empty when the index does not tell."""


def main(arguments: list[str]) -> None:
    """Become `uv ARGUMENTS`."""
    private = PRIVATE / "bin" / "uv"
    found = next((uv for uv in (shutil.which("uv"), private) if uv and is_usable(uv)), None)
    uv = found or fetch(private)
    os.execv(uv, [str(uv), *arguments])


def is_usable(uv: str | Path) -> bool:
    """True when `uv` starts and is no older than `OLDEST`; a version manager's shim may not."""
    try:
        run = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.match(r"uv (\d+)\.(\d+)", run.stdout)
    return version is not None and tuple(map(int, version.groups())) >= OLDEST


def fetch(target: Path) -> Path:
    """Put a working uv at `target` by the first way that succeeds; exit 1 when none does."""
    print(f"uv is missing: fetching it into {target.parent}", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for way in WAYS:
        with tempfile.TemporaryDirectory(dir=PRIVATE) as folder:
            try:
                uv = way(Path(folder))
                if is_usable(uv):
                    os.replace(uv, target)
                    return target
                failures.append(f"{way.__name__}: the uv that came does not run here")
            except (OSError, LookupError, ValueError, zipfile.BadZipFile) as error:
                failures.append(f"{way.__name__}: {error}")
    sys.exit("\n".join(["error: uv could not be fetched:", *failures]))


def by_pip(folder: Path) -> Path:
    """`pip install --target`, which needs no rights and no virtual environment."""
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), REQUIREMENT)
    return folder / "bin" / "uv"


def by_venv(folder: Path) -> Path:
    """The pip of a virtual environment, where the interpreter itself has none."""
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", REQUIREMENT)
    return folder / "bin" / "uv"


def by_wheel(folder: Path) -> Path:
    """The wheel from the index (PEP 503), unpacked with the standard library alone.

    Raises:
        LookupError: the index has no wheel of uv for this machine.
        ValueError: the wheel is not the one that the index describes.
    """
    page = urljoin(index_url().rstrip("/") + "/", "uv/")
    wheel = newest(read_links(_get(page).decode(), page), kind_of_system(), platform.machine())
    data = _get(wheel.url)
    if wheel.sha256 and hashlib.sha256(data).hexdigest() != wheel.sha256:
        raise ValueError("the wheel's SHA-256 is not the one on the index")
    archive = folder / "uv.whl"
    archive.write_bytes(data)
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.endswith(".data/scripts/uv")]
        uv = Path(files.extract(names[0], folder))
    uv.chmod(0o755)
    return uv


WAYS: tuple[Callable[[Path], Path], ...] = (by_pip, by_venv, by_wheel)


def index_url() -> str:
    """The configured index: environment, then pip's files, then the index that uv.lock names."""
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if url := os.environ.get(variable):
            return url
    own = os.environ.get("PIP_CONFIG_FILE", os.devnull)
    config = configparser.RawConfigParser()
    config.read(Path(file).expanduser() for file in (*PIP_FILES, own))
    if url := config.get("global", "index-url", fallback=""):
        return url
    locked = re.search(r'registry = "(https://[^"]+)"', (REPO / "uv.lock").read_text())
    assert locked is not None
    return locked[1]


def kind_of_system() -> str:
    """How wheels name this system: macosx, manylinux (glibc) or musllinux."""
    if sys.platform == "darwin":
        return "macosx"
    return "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"


def read_links(page: str, base: str) -> Iterator[tuple[str, Wheel]]:
    """File name and wheel of every installable release on an index page.

    Args:
        page: HTML of the project's page (PEP 503).
        base: address of the page, for links relative to it.
    """
    parser = _Links()
    parser.feed(page)
    for link in parser.links:
        url, fragment = urldefrag(urljoin(base, link["href"] or ""))
        file = url.rsplit("/", 1)[1]
        release = re.match(r"uv-([\d.]+)-py3-none-.+\.whl$", file)  # no pre-releases
        if release and "data-yanked" not in link:
            version = tuple(int(part) for part in release[1].split("."))
            yield file, Wheel(version, url, fragment.removeprefix("sha256="))


def newest(links: Iterator[tuple[str, Wheel]], kind: str, machine: str) -> Wheel:
    """Newest wheel for a kind of system and its machine (`platform.machine()`).

    Raises:
        LookupError: there is none.
    """
    fitting = [wheel for file, wheel in links if fits(file, kind, machine)]
    if not fitting:
        raise LookupError(f"the index has no wheel of uv for {kind} on {machine}")
    return max(fitting)


def fits(file: str, kind: str, machine: str) -> bool:
    """True when one of the wheel's platform tags is for this kind of system and machine."""
    tags = file.removesuffix(".whl").rsplit("-", 1)[1].split(".")
    return any(tag.startswith(kind) and tag.endswith("_" + machine) for tag in tags)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs))


def _get(url: str) -> bytes:
    # PIP_CERT names the authorities of a network that inspects TLS; OpenSSL's own variable,
    # SSL_CERT_FILE, is honoured in any case.
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as response:
        return bytes(response.read())


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        last = (run.stderr or run.stdout).strip().splitlines()[-1:]
        raise OSError(f"`{' '.join(command[1:3])}` exited {run.returncode}: {''.join(last)}")


if __name__ == "__main__":
    main(sys.argv[1:])
