"""Finding the files with posts that a location stands for."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow import fs

from hashnext.errors import DataError
from hashnext.storage import Folder, absolute, locate, parent

SUFFIXES = (".parquet", ".jsonl", ".tar")
MANIFEST = "manifest.json"
QUARANTINE = "quarantine.parquet"
RECORDS = "records"
"""What `jobs.prepare` writes beside shards; they hold no posts."""
SHARD_COLUMNS = {"post_id", "image", "width", "height", "hashtags"}


def find_files(location: str | Path) -> tuple[Folder, list[str]]:
    """The folder that a source lies in, and the sorted names in it of the files with posts.

    Names that start with a dot or an underscore are passed over.

    Raises:
        DataError: there is nothing, nothing of a known kind, or files of several kinds.
    """
    filesystem, path = locate(location)
    try:
        kind = filesystem.get_file_info(path).type
    except OSError as error:  # an object store that cannot be reached, or refuses us
        raise DataError(f"{location}: {error}") from error
    if kind == fs.FileType.NotFound:
        raise DataError(f"{location}: there is no such file or folder")
    if kind == fs.FileType.File:
        if suffix(path) not in SUFFIXES:
            raise DataError(f"{location}: not a file of posts ({', '.join(SUFFIXES)})")
        above, _, name = path.rpartition("/")
        return Folder(filesystem, above, parent(absolute(location))), [name]
    folder = Folder.at(location)
    inside = _names_in_manifest(folder) or _names_inside(folder)
    names = [name for name in inside if suffix(name) in SUFFIXES]
    kinds = sorted({suffix(name) for name in names})
    if len(kinds) != 1:
        holds = f"both {' and '.join(kinds)}" if kinds else f"no {', '.join(SUFFIXES)}"
        raise DataError(f"{location}: the folder holds {holds} files; name one kind of them")
    return folder, names


def suffix(name: str) -> str:
    """The end of a file's name, from its last dot, in lower case."""
    return "." + name.rpartition(".")[2].lower()


def are_shards(folder: Folder, names: Sequence[str]) -> bool:
    """True for the output of `jobs.prepare`: a manifest, and exactly the columns of shards."""
    if not folder.has(MANIFEST) or suffix(names[0]) != ".parquet":
        return False
    first = pq.read_schema(folder.file(names[0]), filesystem=folder.filesystem)
    return set(first.names) == SHARD_COLUMNS


def _names_in_manifest(folder: Folder) -> list[str]:
    """The files of shards as their manifest lists them; none where another program wrote it.

    While posts are being taken down, files lie beside them that are not or no longer part of them.
    """
    if not folder.has(MANIFEST):
        return []
    try:
        manifest = folder.read_json(MANIFEST)
        return sorted(file["name"] for file in manifest["files"] if file["sha256"])
    except (ValueError, KeyError, TypeError):
        return []


def _names_inside(folder: Folder) -> list[str]:
    inside = folder.filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True))
    paths = [info.path for info in inside if info.type == fs.FileType.File]
    names = sorted(path.removeprefix(f"{folder.path}/") for path in paths)
    if folder.has(MANIFEST):
        names = [n for n in names if n != QUARANTINE and not n.startswith(f"{RECORDS}/")]
    return [name for name in names if not _is_hidden(name)]


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))
