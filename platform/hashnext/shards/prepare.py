"""Posts to shards with Ray Data: each task turns some units of the source into one part.

A part's rows depend only on its units, and its record is written after its file, so a killed run
continues where it was and ends with the same bytes. Then repeated ids and copies are taken out
(`settle.py`). The manifest comes last.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray

from hashnext.posts.readers import PostSource
from hashnext.posts.schema import POST, Unit
from hashnext.progress import Meter
from hashnext.shards import records
from hashnext.shards.manifest import (
    QUARANTINE,
    QUARANTINE_SCHEMA,
    Manifest,
)
from hashnext.shards.part import PartBuilder, PrepareConfig
from hashnext.shards.references import Reference
from hashnext.shards.settle import settle
from hashnext.storage import Folder

PART_ROWS = 1024
"""Posts that a part aims at; a task holds one part in memory, and a source's row group whole."""


def prepare(
    source: PostSource,
    out: Folder,
    config: PrepareConfig,
    meter: Meter,
    references: Sequence[Reference] = (),
) -> Manifest:
    """Turn every post of `source` into a shard row or a quarantine row.

    Args:
        source: posts; only public ones are decoded.
        out: folder of the shards; finished parts found there are kept.
        config: how images are stored, and which copies are removed.
        meter: told the number of posts done.
        references: evaluation sets; posts that show one of their images are quarantined.

    Returns:
        The manifest, already written.
    """
    parts = group_units(source.units, PART_ROWS)
    finished = [part for part in range(len(parts)) if records.is_intact(out, part)]
    todo = sorted(set(range(len(parts))) - set(finished))
    done = sum(records.read(out, part).posts for part in finished)
    for posts in _run_parts(source, out, config, parts, todo):
        done += posts
        meter.update(done)
    settle(out, config, len(parts), references)
    return commit(out, config, len(parts))


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
    builder = PartBuilder(config, tombstoned=frozenset(source.tombstoned.to_pylist()))
    for unit in parts[part]:
        builder.add(source.read(unit, POST.names))
    records.write(out, part, builder)
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


def commit(out: Folder, config: PrepareConfig, num_parts: int) -> Manifest:
    """Write the quarantine and the manifest of settled parts; the shards are whole from now."""
    made = [records.read(out, part) for part in range(num_parts)]
    rejected = [asdict(rejection) for record in made for rejection in record.quarantine]
    out.write_table(QUARANTINE, pa.Table.from_pylist(rejected, schema=QUARANTINE_SCHEMA))
    by_reason = Counter(row["reason"] for row in rejected)
    manifest = Manifest(
        settings=asdict(config),
        files=tuple(record.file for record in made if record.file.rows),
        input_posts=sum(record.posts for record in made),
        quarantined=dict(sorted(by_reason.items())),
    )
    manifest.write(out)
    return manifest
