"""Posts to shards with Ray Data: each task turns some units of the source into one part.

A part's rows depend only on its units, and its record is written after its file, so a killed run
continues where it was and ends with the same bytes. The manifest comes last.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray

from hashnext.posts.readers import PostSource
from hashnext.posts.schema import POST, Unit
from hashnext.progress import Meter
from hashnext.shards.manifest import (
    QUARANTINE,
    QUARANTINE_SCHEMA,
    Manifest,
    ShardFile,
)
from hashnext.shards.part import PartBuilder, PrepareConfig, Rejection, write_part
from hashnext.storage import Folder

PART_ROWS = 1024
"""Posts that a part aims at; a task holds one part in memory, and a source's row group whole."""
RECORDS = "records"


def prepare(source: PostSource, out: Folder, config: PrepareConfig, meter: Meter) -> Manifest:
    """Turn every post of `source` into a shard row or a quarantine row.

    Args:
        source: posts; only public ones are decoded.
        out: folder of the shards; finished parts found there are kept.
        config: how images are stored.
        meter: told the number of posts done.

    Returns:
        The manifest, already written.
    """
    parts = group_units(source.units, PART_ROWS)
    records = out.folder(RECORDS)
    finished = {name for name in records.names() if _is_intact(out, records, name)}
    todo = [i for i in range(len(parts)) if _record_name(i) not in finished]
    done = sum(_posts_in(records.read_json(name)) for name in finished)
    for posts in _run_parts(source, out, config, parts, todo):
        done += posts
        meter.update(done)
    return _commit(out, config, len(parts))


def group_units(units: Sequence[Unit], rows: int) -> list[list[Unit]]:
    """Consecutive units together, up to about `rows` posts; units of unknown size alone."""
    groups: list[list[Unit]] = []
    held = rows
    for unit in units:
        size = unit.rows if unit.rows is not None else rows
        if held + size > rows:
            groups.append([])
            held = 0
        groups[-1].append(unit)
        held += size
    return groups


def prepare_part(
    batch: dict[str, Any],
    source: PostSource,
    out: Folder,
    config: PrepareConfig,
    parts: list[list[Unit]],
) -> dict[str, Any]:
    """Ray Data task: prepare the part numbered `batch["part"]`; returns the posts in it."""
    part = int(batch["part"][0])
    builder = PartBuilder(config)
    for unit in parts[part]:
        builder.add(source.read(unit, POST.names))
    _write(out, part, builder.table(), builder.rejections)
    return {"posts": [len(builder.rows) + len(builder.rejections)]}


def _run_parts(
    source: PostSource, out: Folder, config: PrepareConfig, parts: list[list[Unit]], todo: list[int]
) -> Iterator[int]:
    if not todo:
        return
    dataset = ray.data.from_arrow([pa.table({"part": [part]}) for part in todo]).map_batches(
        prepare_part,  # type: ignore[arg-type]  # Ray types no further arguments
        fn_kwargs={"source": source, "out": out, "config": config, "parts": parts},
        batch_size=1,
    )
    for row in dataset.iter_rows():
        yield int(row["posts"])


def _write(out: Folder, part: int, rows: pa.Table, rejections: list[Rejection]) -> None:
    file = write_part(out, f"part-{part:06d}.parquet", rows)
    record = {"file": asdict(file), "quarantine": [asdict(rejection) for rejection in rejections]}
    out.folder(RECORDS).write_bytes(_record_name(part), json.dumps(record).encode())


def _record_name(part: int) -> str:
    return f"part-{part:06d}.json"


def _is_intact(out: Folder, records: Folder, name: str) -> bool:
    if not name.endswith(".json"):
        return False
    file = records.read_json(name)["file"]
    info = out.filesystem.get_file_info(out.file(file["name"]))
    return bool(info.size == file["bytes"])


def _posts_in(record: dict[str, Any]) -> int:
    return int(record["file"]["rows"]) + len(record["quarantine"])


def _commit(out: Folder, config: PrepareConfig, num_parts: int) -> Manifest:
    _quarantine_repeated_ids(out, num_parts)
    records = out.folder(RECORDS)
    files, rejected = [], []
    for part in range(num_parts):
        record = records.read_json(_record_name(part))
        file = record["file"] | {"row_groups": tuple(record["file"]["row_groups"])}
        files.append(ShardFile(**file))
        rejected += record["quarantine"]
    out.write_table(QUARANTINE, pa.Table.from_pylist(rejected, schema=QUARANTINE_SCHEMA))
    by_reason = Counter(row["reason"] for row in rejected)
    manifest = Manifest(
        settings=asdict(config),
        files=tuple(file for file in files if file.rows),
        input_posts=sum(file.rows for file in files) + len(rejected),
        quarantined=dict(sorted(by_reason.items())),
    )
    manifest.write(out)
    return manifest


def _quarantine_repeated_ids(out: Folder, num_parts: int) -> None:
    """A post id is the key of every draw and of the ledger, so only its first row may stay."""
    seen: set[str] = set()
    for part in range(num_parts):
        name = f"part-{part:06d}.parquet"
        ids = out.read_table(name, ["post_id"])["post_id"].to_pylist()
        repeated = []
        for row, post_id in enumerate(ids):
            if post_id in seen:
                repeated.append(row)
            seen.add(post_id)
        if repeated:
            _drop_rows(out, part, repeated)


def _drop_rows(out: Folder, part: int, rows: list[int]) -> None:
    table = out.read_table(f"part-{part:06d}.parquet")
    record = out.folder(RECORDS).read_json(_record_name(part))
    dropped = set(rows)
    keep = [row for row in range(table.num_rows) if row not in dropped]
    rejections = [Rejection(**rejection) for rejection in record["quarantine"]]
    rejections += [
        Rejection(table["post_id"][row].as_py(), "identity", "repeated_post_id", "id met before")
        for row in rows
    ]
    _write(out, part, table.take(keep), rejections)
