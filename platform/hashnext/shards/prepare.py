"""Posts to shards with Ray Data: each task turns some units of the source into one part.

A part's rows depend only on its units, and its record is written after its file, so a killed run
continues where it was and ends with the same bytes. Then repeated ids and copies are taken out
(`settle.py`). The manifest comes last, unless too much of the source is bad (`budget.py`).
"""

import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
import ray

from hashnext.errors import DataError
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Unit
from hashnext.progress import Meter
from hashnext.shards import records
from hashnext.shards.budget import ErrorBudget, Tally
from hashnext.shards.manifest import (
    QUARANTINE,
    QUARANTINE_SCHEMA,
    Manifest,
)
from hashnext.shards.part import PartBuilder, PrepareConfig
from hashnext.shards.records import Record
from hashnext.shards.references import Reference, identities
from hashnext.shards.settle import settle
from hashnext.storage import Folder

PARTS_CHECKED_AT_ONCE = 8
PART_ROWS = 1024
"""Posts that a part aims at; a task holds one part in memory, and a source's row group whole."""


def prepare(
    source: PostSource,
    out: Folder,
    config: PrepareConfig,
    meter: Meter,
    references: Sequence[Reference],
    budget: ErrorBudget,
) -> Manifest:
    """Turn every post of `source` into a shard row or a quarantine row.

    Args:
        source: posts; only public ones are decoded.
        out: folder of the shards; finished parts found there are kept.
        config: how images are stored, and which copies are removed.
        meter: told the number of posts done.
        references: evaluation sets; posts that show one of their images are quarantined.
        budget: how many posts may be bad.

    Returns:
        The manifest, already written.

    Raises:
        DataError: the source breaks or changes while it is read, or too many posts are bad;
            finished parts are kept, and there is no manifest. Or an image of a reference cannot be
            decoded, before anything is prepared.
    """
    seen = identities(references, config.limits, config.size)  # first: it may refuse them
    parts = group_units(source.units, PART_ROWS)
    records.sweep(out)
    finished, todo = _finished(out, len(parts))
    tally = Tally()
    for part in chain(finished, _run_parts(source, out, config, parts, todo)):
        record = records.read(out, part)
        _require_all(record, parts[part], source)
        tally.add(record)
        meter.update(tally.posts)
        budget.check(tally, complete=False)
    settle(out, config, len(parts), references, seen)
    budget.check(_tally(out, len(parts)), complete=True)
    records.sweep(out)
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


def _finished(out: Folder, num_parts: int) -> tuple[list[int], list[int]]:
    """Parts that are made already, and the others."""
    with ThreadPoolExecutor(PARTS_CHECKED_AT_ONCE) as threads:
        intact = list(threads.map(partial(records.is_intact, out), range(num_parts)))
    parts = range(num_parts)
    return [p for p in parts if intact[p]], [p for p in parts if not intact[p]]


def _require_all(record: Record, units: Sequence[Unit], source: PostSource) -> None:
    """Every post that the source said it has must have become a row of one kind or the other."""
    rows = [unit.rows for unit in units]
    if None in rows or record.posts == sum(count or 0 for count in rows):
        return
    names = ", ".join(dict.fromkeys(unit.name for unit in units))
    raise DataError(
        f"{source.location}: {names} said to hold {sum(count or 0 for count in rows):,} posts, of "
        f"which {record.posts:,} were read; the source has changed meanwhile: name another --out"
    )


def prepare_part(
    batch: dict[str, Any], source: PostSource, out: Folder, config: PrepareConfig
) -> dict[str, Any]:
    """Ray Data task: prepare the part numbered `batch["part"]`; returns that number.

    Args:
        batch: one row, `part` and its pickled `units`: `source` lists none, so that a task does not
            receive those of all parts.
    """
    part = int(batch["part"][0])
    builder = PartBuilder(config, tombstoned=frozenset(source.tombstoned.to_pylist()))
    for unit in pickle.loads(batch["units"][0]):
        for posts in source.pieces(unit, source.without_images()):
            builder.add(posts, source.images(posts, config.fetch, config.limits.max_bytes))
    records.write(out, part, builder)
    return {"part": [part]}


def _run_parts(
    source: PostSource, out: Folder, config: PrepareConfig, parts: list[list[Unit]], todo: list[int]
) -> Iterator[int]:
    if not todo:
        return
    rows = [pa.table({"part": [part], "units": [pickle.dumps(parts[part])]}) for part in todo]
    dataset = ray.data.from_blocks(rows).map_batches(
        prepare_part,
        fn_kwargs={"source": replace(source, units=()), "out": out, "config": config},
        batch_size=1,
    )
    for row in dataset.iter_rows():
        yield int(row["part"])


def _tally(out: Folder, num_parts: int) -> Tally:
    """The counts of parts that have been settled, too."""
    tally = Tally()
    for part in range(num_parts):
        tally.add(records.read(out, part))
    return tally


def commit(out: Folder, config: PrepareConfig, num_parts: int) -> Manifest:
    """Write the quarantine and the manifest of settled parts; the shards are whole from now."""
    files, by_reason = [], Counter[str]()
    quarantine = [QUARANTINE_SCHEMA.empty_table()]
    for part in range(num_parts):
        record = records.read(out, part)
        files.append(record.file)
        rows = [asdict(rejection) for rejection in record.quarantine]
        by_reason.update(row["reason"] for row in rows)
        quarantine.append(pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA))
    out.write_table(QUARANTINE, pa.concat_tables(quarantine).combine_chunks())
    manifest = Manifest(
        settings=asdict(config),
        files=tuple(file for file in files if file.rows),
        input_posts=sum(file.rows for file in files) + sum(by_reason.values()),
        quarantined=dict(sorted(by_reason.items())),
    )
    manifest.write(out)
    return manifest
