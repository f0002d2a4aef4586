"""Images of evaluation sets, to be kept out of the training posts.

Parquet with `image` (encoded bytes, or a struct that has `bytes`) and `id` or `post_id`; where
neither is there, the row's number is the id.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from hashnext.errors import DataError, SchemaError
from hashnext.images.crop import resize_short_side
from hashnext.images.decode import DecodeLimits, ImageRejected, decode
from hashnext.posts.parquet import IMAGE_WANTED, encoded_images, is_image
from hashnext.shards.identity import IDENTITY_SCHEMA, identity
from hashnext.storage import absolute, base_name, locate

BATCH_ROWS = 256
THREADS = 4


@dataclass(frozen=True)
class Reference:
    """One Parquet file or folder of images."""

    location: str
    """Absolute path or URI."""
    files: tuple[str, ...]
    fingerprint: str
    """SHA-256 over names and sizes of the files."""

    @classmethod
    def open(cls, location: str) -> "Reference":
        """Find the files and check their columns.

        Raises:
            DataError: nothing is there, or it is no Parquet.
            SchemaError: there is no column `image`, or it holds no bytes.
        """
        filesystem, path = locate(location)
        try:
            dataset = pq.ParquetDataset(path, filesystem=filesystem)
        except FileNotFoundError as error:
            raise DataError(f"{location}: there is no such file or folder") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{location}: cannot be read as Parquet ({error})") from error
        if "image" not in dataset.schema.names:
            raise SchemaError(f"{location}: column 'image' is missing")
        if not is_image(kind := dataset.schema.field("image").type):
            raise SchemaError(f"{location}: column 'image' is {kind}, wanted {IMAGE_WANTED}")
        infos = filesystem.get_file_info(dataset.files)
        facts = [(info.base_name, info.size) for info in infos]
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()
        return cls(absolute(location), tuple(dataset.files), digest)

    @property
    def name(self) -> str:
        """Last part of the location."""
        return base_name(self.location)

    def images(self) -> Iterator[tuple[str, bytes | None]]:
        """Id and encoded image of every row."""
        filesystem, _ = locate(self.location)
        row = 0
        for path in self.files:
            with filesystem.open_input_file(path) as stream:
                file = pq.ParquetFile(stream)
                names = file.schema_arrow.names
                key = next((name for name in ("id", "post_id") if name in names), None)
                wanted = ["image", key] if key else ["image"]
                for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                    data = encoded_images(batch.column("image")).to_pylist()
                    rows = range(row, row + len(data))
                    ids = batch.column(key).to_pylist() if key else rows
                    yield from zip(map(str, ids), data, strict=True)
                    row += len(data)

    def pick(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Encoded images of some ids."""
        wanted = set(ids)
        return {name: data for name, data in self.images() if name in wanted and data}


def identities(references: Sequence[Reference], limits: DecodeLimits, size: int) -> list[pa.Table]:
    """One table of IDENTITY_SCHEMA for each reference.

    Raises:
        DataError: an image cannot be decoded, so that nobody could tell a copy of it.
    """

    def row(reference: Reference, image: tuple[str, bytes | None]) -> dict[str, object]:
        name, data = image
        try:
            picture = resize_short_side(decode(data, limits, size), size)
        except ImageRejected as error:
            raise DataError(
                f"{reference.location}: image {name!r} cannot be decoded ({error}), so posts that "
                "show it could not be found; leave it out of the evaluation set"
            ) from error
        return identity(name, data or b"", picture)

    tables = []
    with ThreadPoolExecutor(THREADS) as threads:
        for reference in references:
            images, rows = reference.images(), list[dict[str, object]]()
            while batch := list(islice(images, BATCH_ROWS)):
                rows += threads.map(partial(row, reference), batch)
            tables.append(pa.Table.from_pylist(rows, schema=IDENTITY_SCHEMA))
    return tables
