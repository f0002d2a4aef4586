"""Posts in JSONL manifests, one JSON object a line, with image files beside them.

    {"post_id": "1", "image": "photos/1.jpg", "hashtags": ["dog", "#beach"], "public": true}

Relative paths of images start at the manifest's folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import pyarrow as pa

from hashnext.errors import DataError
from hashnext.posts import image_files
from hashnext.posts.malformed import require_mostly_sound, set_aside
from hashnext.posts.records import Record, names_in, parse, post_of, table_of
from hashnext.posts.schema import Columns, Listing, Unit
from hashnext.storage import Folder

LINES_PER_UNIT = 256


@dataclass(frozen=True, kw_only=True)
class Lines(Unit):
    """Some consecutive lines of a manifest."""

    first_line: int
    """Number of the first line, from 1."""
    start: int
    """Offset of the first byte."""
    stop: int
    """Offset behind the last byte."""

    def read(self, folder: Folder, columns: Columns, fields: Sequence[str]) -> pa.Table:
        """See `Unit.read`."""
        posts = [self._post(number, line, columns) for number, line in self.lines(folder)]
        names = [post.get("image_uri") for post in posts]
        uris = image_files.resolve(names, folder.location_of(self.name))
        for post, uri in zip(posts, uris, strict=True):
            post["image_uri"] = uri
        return table_of(posts, fields)

    def lines(self, folder: Folder) -> Iterator[tuple[int, bytes]]:
        """The lines, each with its number, from 1; blank lines are skipped."""
        with folder.filesystem.open_input_file(folder.file(self.name)) as stream:
            stream.seek(self.start)
            data = bytes(stream.read(self.stop - self.start))
        for number, line in enumerate(data.split(b"\n"), self.first_line):
            if line.strip():
                yield number, line

    def _post(self, number: int, line: bytes, columns: Columns) -> Record:
        place = f"{self.name}, line {number}"
        try:
            return post_of(parse(line, place), columns, place)
        except DataError as error:
            return set_aside(place, error, columns)


def list_lines(folder: Folder, names: Sequence[str], columns: Columns) -> Listing:
    """Cut the manifests into units. Reads them once, and parses the first unit of each.

    Raises:
        DataError: half of the lines of a first unit or more are no JSON objects, or, as a
            SchemaError, hold values of the wrong type.
    """
    units: list[Unit] = []
    found: frozenset[str] = frozenset()
    facts = []
    for name in names:
        pieces, digest = _cut(folder, name)
        units += pieces
        facts.append((name, pieces[-1].stop if pieces else 0, digest))
        for piece in pieces[:1]:
            found |= names_in(_sound(piece, folder, columns), columns)
    if "image" in found:  # which is text here: the path of a file
        found = (found - {"image"}) | {"image_uri"}
    return Listing(units=tuple(units), found=found, facts=tuple(facts))


def _sound(piece: Lines, folder: Folder, columns: Columns) -> list[Record]:
    """The objects in those lines that hold a post."""
    sound: list[Record] = []
    errors: list[DataError] = []
    for number, line in piece.lines(folder):
        where = f"{folder.location_of(piece.name)}, line {number}"
        try:
            record = parse(line, where)
            post_of(record, columns, where)
            sound.append(record)
        except DataError as error:
            errors.append(error)
    require_mostly_sound(errors, len(errors) + len(sound))
    return sound


def _cut(folder: Folder, name: str) -> tuple[list[Lines], str]:
    """Units of one manifest, and the digest of its bytes."""
    digest = blake2b(digest_size=16)
    units = []
    start = offset = rows = 0
    first_line = line = 1
    with folder.filesystem.open_input_stream(folder.file(name)) as stream:
        for data in _lines(stream):
            digest.update(data)
            offset += len(data)
            line += 1
            rows += bool(data.strip())
            if rows == LINES_PER_UNIT:
                units.append(_unit(name, rows, first_line, start, offset))
                start, first_line, rows = offset, line, 0
    if rows:
        units.append(_unit(name, rows, first_line, start, offset))
    return units, digest.hexdigest()


def _unit(name: str, rows: int, first_line: int, start: int, stop: int) -> Lines:
    return Lines(name=name, rows=rows, first_line=first_line, start=start, stop=stop)


def _lines(stream: pa.NativeFile) -> Iterator[bytes]:
    """Lines with their ends; `NativeFile.readline` is not implemented."""
    rest = b""
    while chunk := stream.read(1 << 20):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest
