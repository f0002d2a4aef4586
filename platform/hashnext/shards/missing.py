"""Posts that a run should have trained on and could not read, by their ids."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hashnext.posts.identity import post_keys
from hashnext.shards import records
from hashnext.shards.index import LabelIndex
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder


def key_name(key: np.uint64) -> str:
    """A post's key as 16 hexadecimal digits: JSON and checkpoints hold no uint64."""
    return f"{int(key):016x}"


def posts_of(
    shards: Folder, manifest: Manifest, index: LabelIndex, keys: list[int]
) -> list[dict[str, Any]]:
    """The posts of some keys: post_id, file, row_group in the file; in the order of the shards."""
    found = []
    wanted = np.flatnonzero(np.isin(index.keys, np.array(keys, np.uint64)))
    for group in np.unique(index.row_groups[wanted]).tolist():
        name, number, _ = manifest.row_groups()[group]
        ids = _ids(shards, name, number)
        for post in wanted[index.row_groups[wanted] == group]:
            key = key_name(index.keys[post])
            found.append({"post_id": ids.get(key, key), "file": name, "row_group": number})
    return found


def missing_posts(
    shards: Folder, manifest: Manifest, missing: dict[str, int], errors: dict[int, str]
) -> list[dict[str, Any]]:
    """What is known of posts that could not be read.

    Args:
        shards, manifest: where they should have been.
        missing: key of each post (`key_name`), and its row group.
        errors: what reading said, by row group.

    Returns:
        One dictionary a post: post_id, file, row_group in the file, error. The id is None, and the
        key is given instead, where not even the ids of the row group can be read.
    """
    found = []
    for group in sorted(set(missing.values())):
        name, number, _ = manifest.row_groups()[group]
        place = {"file": name, "row_group": number, "error": errors[group]}
        ids = _ids(shards, name, number)
        for key in sorted(key for key, of in missing.items() if of == group):
            named = {"post_id": ids[key]} if key in ids else {"post_id": None, "key": key}
            found.append(named | place)
    return found


def posts_of_lost_files(
    shards: Folder, manifest: Manifest, lost: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Posts of files that cannot be read, as in `missing_posts`; their ids come from `records`.

    Args:
        shards, manifest: where they should have been.
        lost: names of files, and what reading said.

    Returns:
        One dictionary a post, with or without a label, held out or not; its row group is None. One
        for a whole file, without id, where its record is gone, too.
    """
    found: list[dict[str, Any]] = []
    for file in manifest.files:
        if file.name in lost:
            place = {"file": file.name, "row_group": None, "error": lost[file.name]}
            ids = _recorded_ids(shards, records.part_of(file.name))
            found += [{"post_id": each} | place for each in ids] or [
                {"post_id": None, "posts": file.rows} | place
            ]
    return found


def _recorded_ids(shards: Folder, part: int) -> list[str]:
    """Ids of the posts of a part, ascending; empty where they are not on record."""
    try:
        pictures = shards.read_table(records.identity_name(part), ["post_id"])
        taken_out = records.read(shards, part).quarantine
    except (OSError, pa.ArrowInvalid):
        return []
    later = (each.post_id for each in taken_out if each.stage in records.TAKEN_OUT)
    return sorted((Counter(pictures["post_id"].to_pylist()) - Counter(later)).elements())


def _ids(shards: Folder, name: str, group: int) -> dict[str, str]:
    """Post ids of a row group by key; empty where they cannot be read."""
    try:
        with pq.ParquetFile(shards.file(name), filesystem=shards.filesystem) as file:
            ids = file.read_row_group(group, columns=["post_id"])["post_id"]
    except (OSError, pa.ArrowInvalid):
        return {}
    return dict(zip(map(key_name, post_keys(ids)), ids.to_pylist(), strict=True))
