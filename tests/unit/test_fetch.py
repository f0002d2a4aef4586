"""Images fetched from files and servers: in order, patiently, and never for longer than said."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hashnext.errors import ConfigError
from hashnext.posts.fetch import FetchConfig, Fetched, NotFetched, fetch
from hashnext.posts.image_files import resolve
from hashnext.storage import Folder

LIMIT = 1000
QUICK = FetchConfig(timeout_s=5)


def fetched(folder: Path, *uris: str | None, config: FetchConfig = QUICK) -> list[Fetched]:
    return list(fetch(uris, Folder.at(folder), config, LIMIT))


def reasons(found: list[Fetched]) -> list[str | None]:
    return [each.reason if isinstance(each, NotFetched) else None for each in found]


@contextmanager
def web_server(delay_s: float = 0.0) -> Iterator[tuple[str, Counter[str]]]:
    """Address of a server, and how often each path was asked for.

    /503/2 is unavailable the first two times; /404 and the like are always; /long is too long.
    """
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked[self.path] += 1
            time.sleep(delay_s)
            _, status, *times = self.path.split("/")
            wanted = not status.isdigit() or (times and asked[self.path] > int(times[0]))
            data = b"x" * (LIMIT + 1) if status == "long" else self.path.encode()
            self.send_response(200 if wanted else int(status))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.request_queue_size = 64
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[int]:
    """Port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def test_files_come_in_the_order_asked_for(tmp_path: Path) -> None:
    names = [f"{number} é#%.jpg" for number in range(100)]
    for name in names[::2]:
        (tmp_path / name).write_bytes(name.encode())
    for place in (str(tmp_path), tmp_path.as_uri()):
        uris = resolve([*names, None], f"{place}/posts.parquet")
        found = list(fetch(uris, Folder.at(place), QUICK, LIMIT))
        assert found[0:100:2] == [name.encode() for name in names[::2]]
        assert set(reasons(found[1:100:2])) == {"missing"}
        assert found[100] is None


def test_what_is_no_image_file_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * (LIMIT + 1))
    (tmp_path / "whole").write_bytes(b"x" * LIMIT)
    os.mkfifo(tmp_path / "pipe")
    names = ("long", "whole", "pipe", "")
    found = fetched(tmp_path, *(f"{tmp_path}/{name}" for name in names), "/dev/zero", "ftp://a/b")
    assert reasons(found) == ["oversized", None, *["unreadable"] * 4]
    assert "not a regular file" in str(found[2])


def test_errors_that_may_pass_are_tried_again(tmp_path: Path) -> None:
    with web_server() as (address, asked):
        paths = ("/503/2", "/429/1", "/503/9", "/404", "/403", "/long", "/found")
        found = fetched(tmp_path, *(address + path for path in paths))
    assert found[:2] == [b"/503/2", b"/429/1"]
    assert reasons(found[2:]) == ["unreadable", "missing", "unreadable", "oversized", None]
    assert asked == {
        "/503/2": 3, "/429/1": 2, "/503/9": QUICK.attempts, "/404": 1, "/403": 1, "/long": 1,
        "/found": 1,
    }  # fmt: skip


def test_many_are_on_their_way_at_once(tmp_path: Path) -> None:
    with web_server(delay_s=0.2) as (address, asked):
        started = time.monotonic()
        found = fetched(tmp_path, *(f"{address}/{name}" for name in "abcdefghijklmnopqrst"))
        assert time.monotonic() - started < 20 * 0.2 / 2
    assert reasons(found) == [None] * 20
    assert len(asked) == 20


def test_an_answer_that_never_comes_ends_with_the_time_limit(tmp_path: Path) -> None:
    with silent_server() as port:
        object_store = f"s3://bucket/{{}}.jpg?endpoint_override=127.0.0.1:{port}&scheme=http"
        silent = [f"http://127.0.0.1:{port}/{name}" for name in "ab"]
        silent += [object_store.format(name) + "&region=us-east-1" for name in "ab"]
        started = time.monotonic()
        found = fetched(tmp_path, *silent, config=FetchConfig(timeout_s=1.5))
        assert time.monotonic() - started < 4
    assert reasons(found) == ["timeout"] * 4


def test_patience_has_limits() -> None:
    with pytest.raises(ConfigError, match=r"fetch\.timeout-s = 0"):
        FetchConfig(timeout_s=0)
    with pytest.raises(ConfigError, match=r"fetch\.attempts = 0"):
        FetchConfig(attempts=0)
