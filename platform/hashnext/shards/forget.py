"""Take posts out of finished shards, so that a stop at any moment does no harm.

    1. parts that hold the posts are written again, without them and under new names
    2. the tombstones are recorded
    3. the manifest is replaced, and names the new files
    4. what lies beside the rows and shows the posts goes, and the old files go (`traces.py`)

Whoever reads the manifest finds its files, before step 3 and after it. The new names and bytes
depend on the posts that stay and on nothing else, so the same command again ends in the same state.
"""

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hashnext.errors import DataError, StateError
from hashnext.posts.tombstones import Tombstones, digest
from hashnext.shards import records, traces
from hashnext.shards.manifest import SHARD_SCHEMA, Manifest, ShardFile
from hashnext.shards.part import Rejection, write_part
from hashnext.storage import Folder

PARTS_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What a takedown did to the shards."""

    removed: list[str]
    """Ids of the rows taken out, those of earlier takedowns elsewhere included."""
    copies: list[str]
    """Posts in quarantine as copies of posts taken down; they have not been taken down."""
    before: Manifest
    after: Manifest


def forget(shards: Folder, post_ids: Sequence[str], tombstones: Tombstones) -> Forgotten:
    """Take posts out of shards for ever, and with them all that were taken down before.

    Args:
        shards: finished shards.
        post_ids: ids of the posts, held by these shards or not.
        tombstones: where takedowns are recorded.

    Raises:
        DataError: there are no finished shards, or a file of theirs is damaged.
        StateError: another takedown works on the same shards. Where that shows as late as when the
            manifest is to be replaced, the posts are recorded; the same command finishes later.
    """
    Manifest.read(shards)
    with _alone(shards):
        before = Manifest.read(shards)
        forgotten = frozenset([*post_ids, *tombstones.ids().to_pylist()])
        files, removed = _rewrite(shards, before, pa.array(sorted(forgotten), pa.string()))
        quarantine = traces.read_quarantine(shards)
        after = _manifest(before, files, traces.without(quarantine, forgotten))
        origin = {"shards": shards.location,
                  "before": before.fingerprint, "after": after.fingerprint}  # fmt: skip
        tombstones.bury(removed, sorted({*post_ids} - {*removed}), origin, datetime.now(UTC))
        _replace_manifest(shards, before, after)
        traces.clean(shards, after, forgotten)
    copies = traces.copies_of(quarantine, forgotten)
    return Forgotten(removed=removed, copies=copies, before=before, after=after)


@contextmanager
def _alone(shards: Folder) -> Iterator[None]:
    """Keep other takedowns on this machine away; the lock goes with the process.

    Object stores have no locks: there, two takedowns are kept apart by `_replace_manifest` alone.
    """
    if not shards.is_local:
        yield
        return
    folder = os.open(shards.path, os.O_RDONLY)
    try:
        _lock(folder, shards)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, shards: Folder) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StateError(
            f"shards {shards.location}: another jobs.forget works on them; wait for its end"
        ) from error
    except OSError:
        pass  # some network file systems lock no folders


def _rewrite(
    shards: Folder, manifest: Manifest, wanted: pa.Array
) -> tuple[list[ShardFile], list[str]]:
    """Files of the parts without some posts, written where they are new, and the ids taken out."""
    with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
        parts = list(threads.map(lambda file: _without(shards, file, wanted), manifest.files))
    removed = sorted(post_id for _, ids in parts for post_id in ids)
    return [file for file, _ in parts if file], removed


def _without(
    shards: Folder, file: ShardFile, wanted: pa.Array
) -> tuple[ShardFile | None, list[str]]:
    """A part's file without some posts (None where nothing is left), and their ids."""
    try:
        ids = shards.read_table(file.name, ["post_id"])["post_id"]
        gone = pc.is_in(ids, value_set=wanted)
        taken = ids.filter(gone).to_pylist()
        if not taken:
            return file, []
        data = shards.read_bytes(file.name)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"shards {shards.location}/{file.name}: cannot be read: {error}") from error
    if len(taken) == file.rows:
        return None, taken
    _check_whole(shards, file, data)
    staying = pc.invert(gone)
    rows = pq.read_table(pa.BufferReader(data)).filter(staying).cast(SHARD_SCHEMA)
    version = digest(ids.filter(staying))[:12]
    name = records.file_name(records.part_of(file.name), version)
    return write_part(shards, name, rows.combine_chunks()), taken


def _check_whole(shards: Folder, file: ShardFile, data: bytes) -> None:
    """Damaged rows must not get a fresh checksum."""
    if (found := hashlib.sha256(data).hexdigest()) != file.sha256:
        raise DataError(
            f"shards {shards.location}/{file.name}: SHA-256 {found}, the manifest says "
            f"{file.sha256}; the file is damaged, prepare the shards again"
        )


def _replace_manifest(shards: Folder, before: Manifest, after: Manifest) -> None:
    """Write the manifest, unless another takedown wrote its own or swept the new files away.

    Between the look and the write a moment remains in which neither shows.
    """
    new = {file.name for file in after.files} - {file.name for file in before.files}
    if Manifest.read(shards) != before or not all(map(shards.has, new)):
        raise StateError(
            f"shards {shards.location}: another jobs.forget changed them meanwhile; the posts are "
            "recorded as taken down, run the same command again once the other has ended"
        )
    if after != before:
        after.write(shards)


def _manifest(
    before: Manifest, files: Sequence[ShardFile], quarantine: Sequence[Rejection]
) -> Manifest:
    reasons = Counter(rejection.reason for rejection in quarantine)
    return replace(
        before,
        files=tuple(files),
        input_posts=sum(file.rows for file in files) + len(quarantine),
        quarantined=dict(sorted(reasons.items())),
    )
