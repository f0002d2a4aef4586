"""What is noted about each part while shards are being made, in the folder `records`.

A part's record is written last, so a part that has one is whole; a part whose file is not the one
in its record is made again.
"""

import json
from dataclasses import asdict, dataclass

import pyarrow as pa

from hashnext.shards.manifest import ShardFile
from hashnext.shards.part import PartBuilder, Rejection, write_part
from hashnext.storage import Folder

RECORDS = "records"


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


def file_name(part: int) -> str:
    """Name of a part's rows in the folder of shards."""
    return f"part-{part:06d}.parquet"


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
    record = {
        "file": asdict(file), "quarantine": [asdict(each) for each in rejections],
        "settled": settled,
    }  # fmt: skip
    out.write_bytes(_record_name(part), json.dumps(record).encode())


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
    """True when a part need not be made again."""
    if not out.has(_record_name(part)):
        return False
    file = read(out, part).file
    info = out.filesystem.get_file_info(out.file(file.name))
    return bool(info.size == file.bytes)


def _record_name(part: int) -> str:
    return f"{RECORDS}/part-{part:06d}.json"
