"""Fetching images that lie in files of their own: many at once, tried again, each within a limit.

Every image has a thread of its own, which is left to itself when the image's time is up: a read
that never returns, from a silent server or a file system that hangs, cannot be interrupted.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hashnext.errors import ConfigError
from hashnext.patience import may_pass, pauses
from hashnext.posts.image_files import TooLargeError, read_file
from hashnext.posts.web import read_web
from hashnext.storage import Folder

AT_ONCE = 32
"""Images on their way to one task: servers answer slowly, but many at a time."""
DETAIL = 300
"""Characters of an error's text that are kept."""


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """How images are fetched that posts name by a path or URI."""

    timeout_s: float = 30.0
    """Longest time for one image, all attempts together, in seconds."""
    attempts: int = 4
    """How often an image is tried; only errors that may pass are tried again."""

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ConfigError("fetch.timeout-s", self.timeout_s, "must be more than 0 seconds")
        if self.attempts < 1:
            raise ConfigError("fetch.attempts", self.attempts, "must be at least 1")


@dataclass(frozen=True)
class NotFetched:
    """An image that could not be had."""

    reason: str
    """missing, timeout, oversized or unreadable."""
    detail: str


Fetched = bytes | NotFetched | None


def fetch(
    uris: Iterable[str | None], folder: Folder, config: FetchConfig, max_bytes: int
) -> Iterator[Fetched]:
    """Contents of files in the order given, `AT_ONCE` of them on their way.

    Args:
        uris: absolute paths, URIs of `pyarrow.fs` or http(s); None stays None.
        folder: the source's folder; what lies in its bucket is read through its file system.
        config: patience.
        max_bytes: longest file that is read.
    """
    ahead: deque[_Errand | None] = deque()
    for uri in uris:
        ahead.append(_Errand(uri, folder, config, max_bytes) if uri else None)
        if len(ahead) == AT_ONCE:
            yield _outcome(ahead.popleft())
    while ahead:
        yield _outcome(ahead.popleft())


def _outcome(errand: "_Errand | None") -> Fetched:
    return errand.wait() if errand else None


class _Errand(threading.Thread):
    """One image on its way; the program's end does not wait for it."""

    def __init__(self, uri: str, folder: Folder, config: FetchConfig, max_bytes: int) -> None:
        super().__init__(daemon=True)
        self.uri, self.folder, self.config, self.max_bytes = uri, folder, config, max_bytes
        self.deadline = time.monotonic() + config.timeout_s
        self.found: bytes | NotFetched = NotFetched("timeout", f"not within {config.timeout_s:g} s")
        self.start()

    def wait(self) -> bytes | NotFetched:
        """What was found, or what stood in the way when the time was up."""
        self.join(max(0.0, self._seconds_left()))
        return self.found

    def run(self) -> None:
        """Try until there is an image, an error that will stay, or no time."""
        for pause in pauses(self.config.attempts):
            try:
                self.found = _read(self.uri, self.folder, self.max_bytes, self._seconds_left())
                return
            except Exception as error:  # whatever it is, it concerns this image alone
                self.found = not_fetched(error)
                if not may_pass(error) or pause > self._seconds_left():
                    return
            time.sleep(pause)

    def _seconds_left(self) -> float:
        return self.deadline - time.monotonic()


def not_fetched(error: Exception) -> NotFetched:
    """What an error is called in the quarantine."""
    names = {FileNotFoundError: "missing", TimeoutError: "timeout", TooLargeError: "oversized"}
    reason = next((name for kind, name in names.items() if isinstance(error, kind)), "unreadable")
    return NotFetched(reason, f"{type(error).__name__}: {error}"[:DETAIL])


def _read(uri: str, folder: Folder, max_bytes: int, timeout_s: float) -> bytes:
    if uri.startswith(("http://", "https://")):
        return read_web(uri, max_bytes, timeout_s)
    return read_file(uri, folder, max_bytes)
