"""Posts in WebDataset tars: files that share a name up to the first dot make one sample.

    0001.jpg   0001.json = {"hashtags": ["dog"], "public": true}   0002.png   0002.json   ...

The files of a sample follow each other; its post id is that name unless the JSON gives one.
"""

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from tarfile import ReadError

import pyarrow as pa

from hashnext.errors import DataError
from hashnext.posts.malformed import require_mostly_sound, set_aside
from hashnext.posts.records import Record, names_in, parse, post_of, table_of
from hashnext.posts.schema import Columns, Listing, Unit
from hashnext.posts.whole_tar import WholeTar
from hashnext.storage import Folder

IMAGE_SUFFIXES = frozenset(
    ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "avif", "heic", "jp2"]
)
SAMPLES_CHECKED = 64
"""Samples at the start of each tar that are looked at before any work starts."""

SAMPLES_AT_ONCE = 128
"""Samples of which the images are held at a time."""

Sample = tuple[str, Record | DataError, bytes | None]
"""Key, JSON object or why it is none, image."""


@dataclass(frozen=True, kw_only=True)
class TarShard(Unit):
    """A whole tar: it has no index, so nothing smaller can be read by itself."""

    def read(self, folder: Folder, columns: Columns, fields: Sequence[str]) -> pa.Table:
        """See `Unit.read`."""
        pieces = [*self.pieces(folder, columns, fields)]
        return pa.concat_tables(pieces or [table_of([], fields)])

    def pieces(self, folder: Folder, columns: Columns, fields: Sequence[str]) -> Iterator[pa.Table]:
        """See `Unit.pieces`."""
        samples = self.samples(folder)
        while some := list(islice(samples, SAMPLES_AT_ONCE)):
            yield table_of([self._post(*each, columns) for each in some], fields)

    def samples(self, folder: Folder) -> Iterator[Sample]:
        """The samples in the order of the tar.

        Raises:
            DataError: the tar is damaged.
        """
        with _opened(folder, self.name) as tar:
            key, image = "", None
            record: Record | DataError = Record()
            for member in tar:
                if not member.isfile():
                    continue
                head, slash, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if key and head + slash + stem != key:
                    yield key, record, image
                    record, image = Record(), None
                key = head + slash + stem
                if suffix.lower() in IMAGE_SUFFIXES:
                    image = _contents(tar, member)
                elif suffix.lower() == "json":
                    where = f"{folder.location_of(self.name)}, {member.name}"
                    record = _parsed(_contents(tar, member), where)
            if key:
                yield key, record, image

    def check(self, folder: Folder, columns: Columns) -> frozenset[str]:
        """Look at the first samples; returns the fields of `Columns` that they hold."""
        first = list(islice(self.samples(folder), SAMPLES_CHECKED))
        wrong = [error for each in first if (error := self._error(*each[:2], folder, columns))]
        require_mostly_sound(wrong, len(first))
        images = any(image is not None for _, _, image in first)
        objects = (record for _, record, _ in first if not isinstance(record, DataError))
        found = names_in(objects, columns) - {"image", "image_uri"}
        return found | {"post_id"} | ({"image"} if images else set())

    def _post(
        self, key: str, record: Record | DataError, image: bytes | None, columns: Columns
    ) -> Record:
        place = f"{self.name}, {key}.json"
        try:
            return _checked(key, record, columns, place) | {"image": image}
        except DataError as error:
            return set_aside(place, error, columns)

    def _error(
        self, key: str, record: Record | DataError, folder: Folder, columns: Columns
    ) -> DataError | None:
        try:
            _checked(key, record, columns, f"{folder.location_of(self.name)}, {key}.json")
        except DataError as error:
            return error
        return None


def list_tars(folder: Folder, names: Sequence[str], columns: Columns) -> Listing:
    """One unit a tar; the first samples of each are checked.

    Raises:
        DataError: a tar is damaged at its start, or half of its first samples or more are no
            posts.
    """
    shards = tuple(TarShard(name=name, rows=None) for name in names)
    found = [shard.check(folder, columns) for shard in shards]
    sizes = [info.size for info in folder.filesystem.get_file_info([*map(folder.file, names)])]
    facts = tuple((name, size, "tar") for name, size in zip(names, sizes, strict=True))
    return Listing(units=shards, found=frozenset[str]().union(*found), facts=facts)


def _parsed(data: bytes, where: str) -> Record | DataError:
    try:
        return parse(data, where)
    except DataError as error:
        return error


def _checked(key: str, record: Record | DataError, columns: Columns, where: str) -> Record:
    """The post of a sample, without its image. Raises the DataError that says why it is none."""
    if isinstance(record, DataError):
        raise record
    beside = {columns.image, columns.image_uri}
    given = {name: value for name, value in record.items() if name not in beside}
    return post_of({columns.post_id: key} | given, columns, where)


@contextmanager
def _opened(folder: Folder, name: str) -> Iterator[tarfile.TarFile]:
    try:
        with (
            folder.filesystem.open_input_stream(folder.file(name), compression=None) as stream,
            WholeTar.open(fileobj=stream, mode="r|", ignore_zeros=True) as tar,
        ):
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{folder.location_of(name)}: not a whole tar ({error})") from error


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    assert stream is not None
    data = stream.read()
    if len(data) != member.size:
        raise ReadError(f"{member.name} is cut short")
    return data
