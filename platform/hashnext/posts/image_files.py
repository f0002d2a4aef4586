"""Images that lie in files of their own, named by a path or a URI of `pyarrow.fs`."""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from hashnext.storage import Folder, inside, is_uri, locate, parent

BUCKETS = 64
"""Buckets whose connections are kept."""


class TooLargeError(ValueError):
    """A file is longer than may be read."""


def resolve(names: Sequence[str | None], named_by: str) -> list[str | None]:
    """Absolute paths or URIs of images.

    Args:
        names: absolute, or relative to the folder of the file that names them; None stays None.
        named_by: absolute path or URI of that file.
    """
    folder = parent(named_by)
    return [
        name if not name or is_uri(name) or name.startswith("/") else inside(folder, name)
        for name in names
    ]


def read_file(uri: str, folder: Folder, max_bytes: int) -> bytes:
    """Contents of one file.

    Args:
        uri: absolute path or URI.
        folder: the source's folder; what lies in its bucket is read through its file system.
        max_bytes: longest file that is read.

    Raises:
        TooLargeError: the file is longer; it is not read.
        OSError: the file cannot be read.
        ValueError: it is no regular file, or the URI is none that pyarrow can open.
    """
    filesystem, path = _place(uri, folder)
    if isinstance(filesystem, fs.LocalFileSystem):
        _require_regular(filesystem, path)
    with filesystem.open_input_file(path) as stream:
        require_short(stream.size(), max_bytes)
        return bytes(stream.read())


def require_short(size: int, max_bytes: int) -> None:
    """Raise TooLargeError where a file of `size` bytes may not be read."""
    if size > max_bytes:
        raise TooLargeError(f"{size} bytes, at most {max_bytes}")


def _require_regular(filesystem: fs.FileSystem, path: str) -> None:
    """A folder has no contents, a pipe or a device perhaps no end; what is not there says so."""
    if filesystem.get_file_info(path).type in (fs.FileType.Directory, fs.FileType.Unknown):
        raise ValueError(f"{path} is not a regular file")


def _place(uri: str, folder: Folder) -> tuple[fs.FileSystem, str]:
    if not is_uri(uri):
        return fs.LocalFileSystem(), uri
    there, here = urlsplit(uri), urlsplit(folder.location)
    if there.scheme not in ("s3", "gs"):
        return locate(uri)
    path = unquote(there.netloc.rpartition("@")[2] + there.path)
    if there[:2] == here[:2] and there.query in ("", here.query):
        return folder.filesystem, path
    return _bucket(f"{there.scheme}://{there.netloc}", there.query), path


@lru_cache(BUCKETS)
def _bucket(root: str, query: str) -> fs.FileSystem:
    """A client for one bucket; making one takes tens of milliseconds and perhaps a request."""
    return fs.FileSystem.from_uri(f"{root}?{query}" if query else root)[0]
