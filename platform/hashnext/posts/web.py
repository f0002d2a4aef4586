"""Files at web addresses, read over connections that are kept open."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache

import urllib3

from hashnext.posts.image_files import require_short

HOSTS, CONNECTIONS = 64, 32
"""Hosts whose connections are kept, and how many of each."""
REDIRECTS = 5
GONE, PASSING = (404, 410), (408, 425, 429, 500, 502, 503, 504)


def read_web(url: str, max_bytes: int, timeout_s: float) -> bytes:
    """Contents of a web address. Errors are those that files have; nothing is tried again.

    Args:
        url: of http or https.
        max_bytes: longest answer that is read.
        timeout_s: longest time without an answer, in seconds.

    Raises:
        TooLargeError: the answer is longer.
        FileNotFoundError: there is nothing at the address.
        PermissionError: the server refuses.
        TimeoutError: the server is silent.
        ConnectionError: it cannot be reached, is busy, or broke off.
        ValueError: this is no address.
    """
    with answer(url, timeout_s) as response:
        require_short(length(response) or 0, max_bytes)
        data = response.read(max_bytes + 1)
    require_short(len(data), max_bytes)
    return data


@contextmanager
def answer(url: str, timeout_s: float) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer of a web address; the block reads it. Errors are those of `read_web`."""
    try:
        response = _pool().request(
            "GET", url, timeout=max(timeout_s, 0.001), preload_content=False,
            retries=urllib3.Retry(None, connect=False, read=False, other=0, redirect=REDIRECTS),
        )  # fmt: skip
        with closing(response):
            _require_found(response.status)
            yield response
    except urllib3.exceptions.TimeoutError as error:
        raise TimeoutError(str(error)) from error
    except urllib3.exceptions.LocationValueError as error:
        raise ValueError(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(str(error)) from error


def length(response: urllib3.BaseHTTPResponse) -> int | None:
    """Bytes that an answer says it has; None where it does not say."""
    stated = response.headers.get("Content-Length")
    return None if stated is None else int(stated)


@lru_cache(1)
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(HOSTS, {"User-Agent": "hashnext"}, maxsize=CONNECTIONS)


def _require_found(status: int) -> None:
    if status in GONE:
        raise FileNotFoundError(f"HTTP status {status}")
    if status in PASSING:
        raise ConnectionError(f"HTTP status {status}")
    if status != 200:
        raise PermissionError(f"HTTP status {status}")
