"""Posts that were taken down: their ids, for ever, in one folder that every job reads.

Every takedown adds one Parquet file to the folder and none is changed again, which object stores
can do as well as disks. A file that cannot be read stops the jobs: an unread tombstone would let
its post back in.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from hashnext import settings
from hashnext.errors import ConfigError, DataError
from hashnext.posts.schema import Columns, Unit
from hashnext.storage import Folder

TOMBSTONES = pa.schema([
    ("post_id", pa.string()), ("time", pa.timestamp("us", "UTC")), ("shards", pa.string()),
    ("before", pa.string()), ("after", pa.string()),
])  # fmt: skip
"""`before` and `after`: fingerprints of the shards that held the post, null where they did not."""

COUNTED_WITHOUT = "counted_without_posts_taken_down_until"
"""Where `vocabulary.json` says which takedowns its counts know of: the time of the last one."""
NONE = pa.array([], pa.string())
READERS = 16


@dataclass(frozen=True)
class Tombstones:
    """The tombstones in a folder, which need not exist before the first one."""

    folder: Folder

    @classmethod
    def open(cls) -> "Tombstones":
        """The tombstones of this installation.

        Raises:
            ConfigError: HASHNEXT_TOMBSTONES names a local folder that does not exist. It may be a
                share that is not mounted, and then posts that were taken down would be used.
        """
        shared = settings.shared_tombstones()
        if shared is None:
            return cls(Folder.at(settings.own_tombstones()))
        folder = Folder.at(shared)
        kind = folder.filesystem.get_file_info(folder.path).type
        if folder.is_local and kind != fs.FileType.Directory:
            raise ConfigError("HASHNEXT_TOMBSTONES", shared, "no such folder; make it or mount it")
        return cls(folder)

    def table(self) -> pa.Table:
        """Every record, as `TOMBSTONES`.

        Raises:
            DataError: a file cannot be read.
        """
        names = [name for name in self.folder.names() if name.endswith(".parquet")]
        with ThreadPoolExecutor(READERS) as threads:
            return pa.concat_tables([TOMBSTONES.empty_table(), *threads.map(self._read, names)])

    def ids(self) -> pa.Array:
        """Ids of all posts taken down, each once, ascending: string (n,)."""
        return ids_in(self.table())

    def bury(
        self, removed: Iterable[str], absent: Iterable[str], origin: dict[str, str], now: datetime
    ) -> None:
        """Record posts taken down; those recorded in the same words before are left as they are.

        Args:
            removed: ids of posts that the shards held.
            absent: ids of posts that they did not hold; recorded unless they are already.
            origin: `shards`, `before` and `after`.
            now: time of recording, from which on readers know of it.
        """
        known = self.table()
        told = set(zip(*(known[key].to_pylist() for key in ("post_id", *origin)), strict=True))
        buried = set(known["post_id"].to_pylist())
        removed = [each for each in removed if (each, *origin.values()) not in told]
        elsewhere = {"shards": origin["shards"]}
        absent = [each for each in absent if each not in buried]
        rows: list[dict[str, Any]] = [{"post_id": each, "time": now, **origin} for each in removed]
        rows += [{"post_id": each, "time": now, **elsewhere} for each in absent]
        if rows:
            self.folder.write_table(_name(rows, now), pa.Table.from_pylist(rows, TOMBSTONES))

    def _read(self, name: str) -> pa.Table:
        try:
            return self.folder.read_table(name).select(TOMBSTONES.names).cast(TOMBSTONES)
        except (OSError, pa.ArrowInvalid, KeyError) as error:
            raise DataError(
                f"tombstones {self.folder.location}/{name}: cannot be read ({error}); "
                "nothing is read without them"
            ) from error


def found_among(ids: pa.Array, units: Sequence[Unit], folder: Folder, columns: Columns) -> pa.Array:
    """Those of some ids, ascending, that units of a source hold. Reads nothing when there are none.

    A unit of unknown size (a tar) would have to be read whole, so all ids count as held by it.
    """
    if not len(ids) or any(unit.rows is None for unit in units):
        return ids

    def inside(unit: Unit) -> pa.Array:
        held = unit.read(folder, columns, ["post_id"])["post_id"]
        return held.filter(pc.is_in(held, value_set=ids)).combine_chunks()

    with ThreadPoolExecutor(READERS) as threads:
        met = pa.chunked_array([NONE, *threads.map(inside, units)])
    return ids.filter(pc.is_in(ids, value_set=met.combine_chunks()))


def ids_in(table: pa.Table) -> pa.Array:
    """Ids in records like `TOMBSTONES`, each once, ascending: string (n,)."""
    distinct = table["post_id"].unique()
    return distinct.take(pc.sort_indices(distinct))


def latest(table: pa.Table) -> str | None:
    """Time of the last takedown in records like `TOMBSTONES`, ISO 8601; None before the first."""
    last = pc.max(table["time"]).as_py()
    return None if last is None else str(last.isoformat())


def first_recorded_after(table: pa.Table, moment: str | None) -> set[str]:
    """Ids of posts without a record up to a moment, as `latest` gives it; None: all ids."""
    if moment is None:
        return set(table["post_id"].to_pylist())
    before = pc.less_equal(table["time"], pa.scalar(datetime.fromisoformat(moment)))
    return {*table["post_id"].to_pylist()} - {*table.filter(before)["post_id"].to_pylist()}


def taken_out_of(table: pa.Table, fingerprint: str) -> set[str]:
    """Ids of the posts that shards of a fingerprint have lost on the way from what they were."""
    by_outcome = defaultdict(list)
    for row in table.filter(table["before"].is_valid()).to_pylist():
        by_outcome[row["after"]].append(row)
    found: set[str] = set()
    reached, waiting = {fingerprint}, [fingerprint]
    while waiting:
        for row in by_outcome[waiting.pop()]:
            found.add(row["post_id"])
            if row["before"] not in reached:
                reached.add(row["before"])
                waiting.append(row["before"])
    return found


def digest(ids: pa.Array) -> str:
    """SHA-256 of ids that are ascending."""
    return hashlib.sha256(repr(ids.to_pylist()).encode()).hexdigest()


def _name(rows: Sequence[dict[str, Any]], now: datetime) -> str:
    """A file's name that sorts by time and that no other takedown has."""
    said = hashlib.sha256(repr(rows).encode()).hexdigest()
    return f"{now:%Y%m%dT%H%M%SZ}-{said[:16]}.parquet"
