"""Images that lie in files of their own, named by a path or a URI."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hashnext.storage import Folder, is_uri, locate

READERS = 16
"""Files read at once: object stores answer slowly, but many at a time."""


def resolve(names: Sequence[str | None], named_by: str) -> list[str | None]:
    """Absolute paths or URIs of images.

    Args:
        names: absolute, or relative to the folder of the file that names them; None stays None.
        named_by: absolute path or URI of that file.
    """
    folder = named_by.rpartition("/")[0]
    return [
        name if not name or is_uri(name) or name.startswith("/") else f"{folder}/{name}"
        for name in names
    ]


def load(uris: Sequence[str | None], folder: Folder) -> list[bytes | None]:
    """Contents of the files in the order given; None for a file that cannot be read.

    Args:
        uris: absolute paths or URIs.
        folder: the source's folder; what lies inside is read through its file system.
    """

    def contents(uri: str | None) -> bytes | None:
        return _contents(uri, folder) if uri else None

    with ThreadPoolExecutor(READERS) as threads:
        return list(threads.map(contents, uris))


def _contents(uri: str, folder: Folder) -> bytes | None:
    inside = uri.removeprefix(f"{folder.location}/")
    filesystem, path = (folder.filesystem, folder.file(inside)) if inside != uri else locate(uri)
    try:
        with filesystem.open_input_file(path) as stream:
            return bytes(stream.read())
    except OSError:
        return None
