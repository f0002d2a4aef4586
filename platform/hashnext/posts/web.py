"""Images at web addresses, read over connections that are kept open."""

from contextlib import closing
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
    try:
        response = _pool().request(
            "GET", url, timeout=max(timeout_s, 0.001), preload_content=False,
            retries=urllib3.Retry(None, connect=False, read=False, other=0, redirect=REDIRECTS),
        )  # fmt: skip
        with closing(response):
            _require_found(response.status)
            require_short(int(response.headers.get("Content-Length", 0)), max_bytes)
            data = response.read(max_bytes + 1)
    except urllib3.exceptions.TimeoutError as error:
        raise TimeoutError(str(error)) from error
    except urllib3.exceptions.LocationValueError as error:
        raise ValueError(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(str(error)) from error
    require_short(len(data), max_bytes)
    return data


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
