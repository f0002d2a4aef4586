"""Files behind one small interface, local or on any `pyarrow.fs` URI (s3://, gs://, file://).

A reader never sees half a file: local writes go aside and are renamed, and an object store shows
an object only once its upload is complete.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from hashnext.errors import ConfigError, DataError

IN_A_PATH = "/!$&'()*+,;=:@~"
"""Characters that may stand unescaped in the path of a URI (RFC 3986)."""
_WITH_PASSWORD = re.compile(r"(\w+://)[^/@:]*:[^/@]*@")


def is_uri(location: str) -> bool:
    """True for `scheme://...`, false for a local path."""
    return "://" in location


def absolute(location: str | Path) -> str:
    """A location that means the same from every working directory."""
    return str(location) if is_uri(str(location)) else str(Path(location).expanduser().resolve())


def inside(location: str, name: str) -> str:
    """Location of something in the folder at `location`; the query of a URI stays at its end."""
    base, query = _split(location)
    return f"{base}/{quote(name, IN_A_PATH) if is_uri(location) else name}{query}"


def parent(location: str) -> str:
    """Location of the folder that something lies in."""
    base, query = _split(location)
    return base.rpartition("/")[0] + query


def base_name(location: str) -> str:
    """Last part of a location, as its file system spells it."""
    name = _split(location)[0].rpartition("/")[2]
    return unquote(name) if is_uri(location) else name


def _split(location: str) -> tuple[str, str]:
    """A location without a last '/', and the query of a URI with its '?'."""
    base, mark, query = location.partition("?") if is_uri(location) else (location, "", "")
    return base.rstrip("/"), mark + query


def locate(location: str | Path) -> tuple[fs.FileSystem, str]:
    """File system and path of a location.

    Raises:
        ConfigError: the URI's scheme is not known to pyarrow, or there is a password in it.
        DataError: its server cannot be reached, or knows no such bucket.
    """
    location = absolute(location)
    if not is_uri(location):
        return fs.LocalFileSystem(), location
    if _WITH_PASSWORD.match(location):
        shown = _WITH_PASSWORD.sub(r"\1...@", location)
        rule = "a password in a URI would be written down with the settings; use the environment"
        raise ConfigError("path", shown, rule)
    try:
        filesystem, path = fs.FileSystem.from_uri(location)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigError("path", location, f"not a URI that pyarrow can open ({error})") from error
    except OSError as error:
        raise DataError(f"{location}: {error}") from error
    return filesystem, path


@dataclass(frozen=True)
class Folder:
    """A folder on some file system; cheap to make and to pickle, need not exist yet."""

    filesystem: fs.FileSystem
    path: str
    location: str

    @classmethod
    def at(cls, location: str | Path) -> "Folder":
        """The folder at a local path or URI."""
        filesystem, path = locate(location)
        return cls(filesystem, path.rstrip("/"), "".join(_split(absolute(location))))

    @property
    def is_local(self) -> bool:
        """True when the folder is on this machine's file system."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def folder(self, name: str) -> "Folder":
        """A sub-folder."""
        return Folder(self.filesystem, f"{self.path}/{name}", self.location_of(name))

    def file(self, name: str) -> str:
        """Path of a file inside, as the file system wants it."""
        return f"{self.path}/{name}"

    def location_of(self, name: str) -> str:
        """Path or URI of a file inside, as it can be opened again, and as messages name it."""
        return inside(self.location, name)

    def names(self) -> list[str]:
        """Sorted names of what lies directly inside; empty when the folder does not exist."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def has(self, name: str) -> bool:
        """True when a file of that name lies inside."""
        return bool(self.filesystem.get_file_info(self.file(name)).type == fs.FileType.File)

    def read_bytes(self, name: str) -> bytes:
        """Contents of a file. Raises FileNotFoundError."""
        with self.filesystem.open_input_file(self.file(name)) as stream:
            return bytes(stream.read())

    def write_bytes(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a whole file; the name appears only once the contents are complete.

        An object store is asked for no folder: there are none, only names with '/' in them, and
        whoever may write objects may not always make empty ones.
        """
        target = self.file(name)
        if self.is_local:
            self.filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
        aside = f"{target}.{os.getpid()}.tmp" if self.is_local else target
        with self.filesystem.open_output_stream(aside) as stream:
            stream.write(data)
        if aside != target:
            self.filesystem.move(aside, target)

    def read_json(self, name: str) -> Any:
        """Contents of a JSON file."""
        return json.loads(self.read_bytes(name))

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, indented, keys in the order given."""
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
        self.write_bytes(name, (text + "\n").encode())

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Contents of a Parquet file."""
        return pq.read_table(self.file(name), columns=columns, filesystem=self.filesystem)

    def write_table(self, name: str, table: pa.Table, row_group_size: int | None = None) -> bytes:
        """Write a Parquet file; returns its bytes, so that the caller can hash them."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=row_group_size)
        data = sink.getvalue().to_pybytes()
        self.write_bytes(name, data)
        return bytes(data)

    def delete(self, name: str) -> None:
        """Remove a file."""
        self.filesystem.delete_file(self.file(name))
