"""What is noted about each part while shards are being made, in the folder `records`.

A part's record is written last, so a part that has one is whole; a part whose file is not the one
in its record, or whose pictures are no longer known, is made again.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from hashnext.shards.manifest import ShardFile
from hashnext.shards.part import PartBuilder, Rejection, write_part
from hashnext.storage import Folder

RECORDS = "records"
TAKEN_OUT = ("identity", "duplicates")
"""Stages of what `settle` takes out of a part that has been made."""
_PART = re.compile(r"part-(\d+)")


@dataclass(frozen=True)
class Record:
    """What became of the posts of one part."""

    file: ShardFile
    quarantine: tuple[Rejection, ...]
    settled: bool
    """Repeated ids and copies have been taken out of the file."""

    @property
    def posts(self) -> int:
        """Posts in the part, kept or not."""
        return self.file.rows + len(self.quarantine)


def file_name(part: int, version: str = "") -> str:
    """Name of a part's rows in the folder of shards; `version` tells it from the rows at first."""
    return f"part-{part:06d}-{version}.parquet" if version else f"part-{part:06d}.parquet"


def part_of(name: str) -> int:
    """Number of the part that a file of shards, or a record, belongs to."""
    number = _PART.match(name)
    assert number, f"{name} is no part"
    return int(number[1])


def recorded(out: Folder) -> list[int]:
    """Numbers of the parts that have a record."""
    names = out.folder(RECORDS).names()
    return [part_of(name) for name in names if _PART.match(name) and name.endswith(".json")]


def identity_name(part: int) -> str:
    """Name, in the folder of shards, of what all pictures of the part were known by at first."""
    return f"{RECORDS}/identity-{part:06d}.parquet"


def removed_name(part: int) -> str:
    """Name, in the folder of shards, of small pictures of the copies taken out of the part."""
    return f"{RECORDS}/removed-{part:06d}.parquet"


def write(out: Folder, part: int, builder: PartBuilder) -> None:
    """Write a part that was just made."""
    out.write_table(identity_name(part), builder.identity_table())
    write_rows(out, part, builder.table(), builder.rejections, settled=False)


def write_rows(
    out: Folder, part: int, rows: pa.Table, rejections: list[Rejection], *, settled: bool
) -> None:
    """Write a part's rows, then its record."""
    file = write_part(out, file_name(part), rows)
    write_record(out, part, Record(file, tuple(rejections), settled))


def write_record(out: Folder, part: int, record: Record) -> None:
    """Write a part's record; its rows have been written."""
    out.write_bytes(_record_name(part), json.dumps(asdict(record)).encode())


def read(out: Folder, part: int) -> Record:
    """The record of a part that has been made."""
    record = out.read_json(_record_name(part))
    groups = tuple(record["file"]["row_groups"])
    return Record(
        file=ShardFile(**{**record["file"], "row_groups": groups}),
        quarantine=tuple(Rejection(**each) for each in record["quarantine"]),
        settled=record["settled"],
    )


def is_intact(out: Folder, part: int) -> bool:
    """True when a part need not be made again: what was written is there, byte for byte."""
    if not out.has(_record_name(part)):
        return False
    record = read(out, part)
    try:
        data = out.read_bytes(record.file.name)
        with pq.ParquetFile(out.file(identity_name(part)), filesystem=out.filesystem) as file:
            known = file.metadata.num_rows
    except (OSError, pa.ArrowInvalid):
        return False
    later = sum(each.stage in TAKEN_OUT for each in record.quarantine)
    same = hashlib.sha256(data).hexdigest() == record.file.sha256
    return bool(same and known == record.file.rows + later)


def sweep(out: Folder) -> None:
    """Delete what killed writers left in a folder of shards: halves of files, which show posts."""
    for folder in (out, out.folder(RECORDS)):
        for name in folder.names():
            if name.endswith(".tmp"):
                folder.delete(name)


def _record_name(part: int) -> str:
    return f"{RECORDS}/part-{part:06d}.json"
