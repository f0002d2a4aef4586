"""What lies beside the rows of shards and shows posts that were taken out of them.

Every step looks at what is there and changes only what still shows a post, so a takedown that was
stopped is finished by the next one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.compute as pc

from hashnext.outputs import RESULT
from hashnext.shards import records
from hashnext.shards.duplicates import EVALUATION, EXACT, NEAR
from hashnext.shards.duplicates_page import copied_from, take_off_page
from hashnext.shards.manifest import QUARANTINE, QUARANTINE_SCHEMA, Manifest, ShardFile
from hashnext.shards.part import Rejection
from hashnext.storage import Folder

FORGOTTEN = "a forgotten post"
"""Stands in the quarantine for the id of a post that others were copies of."""
PARTS_AT_ONCE = 8


def clean(shards: Folder, manifest: Manifest, forgotten: frozenset[str]) -> None:
    """Remove posts from all files beside the rows, and the files that the manifest does not name.

    Args:
        shards: folder of the shards.
        manifest: of the shards without the posts, already written.
        forgotten: ids of the posts.
    """
    files = {records.part_of(file.name): file for file in manifest.files}
    with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
        parts = records.recorded(shards)
        list(threads.map(lambda part: _clean_part(shards, part, files.get(part), forgotten), parts))
    rejections = read_quarantine(shards)
    kept = without(rejections, forgotten)
    take_off_page(shards, forgotten, Counter(rejection.reason for rejection in kept))
    if kept != rejections:
        rows = [asdict(rejection) for rejection in kept]
        shards.write_table(QUARANTINE, pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA))
    _update_result(shards, manifest)
    _sweep(shards, {file.name for file in manifest.files})


def read_quarantine(shards: Folder) -> list[Rejection]:
    """The rows of `quarantine.parquet`."""
    return [Rejection(**row) for row in shards.read_table(QUARANTINE).to_pylist()]


def without(rejections: Iterable[Rejection], forgotten: frozenset[str]) -> list[Rejection]:
    """The rejections of other posts, where no detail names a forgotten one."""
    return [_nameless(each, forgotten) for each in rejections if each.post_id not in forgotten]


def copies_of(rejections: Sequence[Rejection], forgotten: frozenset[str]) -> list[str]:
    """Ids of other posts that are kept out as copies of forgotten ones."""
    return [
        rejection.post_id
        for rejection in rejections
        if _original(rejection) in forgotten and rejection.post_id not in forgotten
    ]


def _original(rejection: Rejection) -> str | None:
    """Id of what a rejected copy is a copy of."""
    if rejection.reason not in (EXACT, NEAR, EVALUATION):
        return None
    return copied_from(rejection.reason, rejection.detail)


def _nameless(rejection: Rejection, forgotten: frozenset[str]) -> Rejection:
    original = _original(rejection)
    if original is None or original not in forgotten:
        return rejection
    head, separator, distance = rejection.detail.rpartition(", ")
    head = head.removesuffix(original) + FORGOTTEN
    return replace(rejection, detail=head + separator + distance)


def _clean_part(
    shards: Folder, part: int, file: ShardFile | None, forgotten: frozenset[str]
) -> None:
    """Clean what was noted about a part, whose rows are now in `file` (None: it has none)."""
    for name in (records.identity_name(part), records.removed_name(part)):
        if shards.has(name):
            _drop_rows(shards, name, forgotten)
    record = records.read(shards, part)
    empty = replace(record.file, rows=0, bytes=0, sha256="", row_groups=())
    now = replace(
        record,
        file=file or (empty if record.file.rows else record.file),
        quarantine=tuple(without(record.quarantine, forgotten)),
    )
    if now != record:
        records.write_record(shards, part, now)


def _drop_rows(shards: Folder, name: str, forgotten: frozenset[str]) -> None:
    table = shards.read_table(name)
    gone = pc.is_in(table["post_id"], value_set=pa.array(sorted(forgotten), pa.string()))
    if pc.any(gone, min_count=0).as_py():
        shards.write_table(name, table.filter(pc.invert(gone)))


def _update_result(shards: Folder, manifest: Manifest) -> None:
    """Have `result.json` say what the shards hold now; how long they took stays."""
    if shards.has(RESULT):
        found = shards.read_json(RESULT)
        now = {**found, **manifest.figures()}
        if now != found:
            shards.write_json(RESULT, now)


def _sweep(shards: Folder, live: set[str]) -> None:
    """Delete the parts that are no longer part of the shards, and what killed writers left."""
    for name in shards.names():
        is_part = name.startswith("part-") and name.endswith(".parquet")
        if is_part and name not in live:
            shards.delete(name)
    records.sweep(shards)
