"""Which images of an evaluation set have copies among the posts of finished shards.

For shards made without `--exclude-similar-to`: a model trained on them has seen such images with
hashtags for labels. Accuracy with all of them counted as wrong is a lower bound of what it would
reach on images never seen (Mahajan et al., ECCV 2018, supplement).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from hashnext.images.decode import DecodeLimits, decode
from hashnext.posts.identity import held_out, post_keys
from hashnext.shards.duplicates import DuplicatesConfig, alike, distance
from hashnext.shards.identity import (
    IDENTITY_SCHEMA,
    IN_MEMORY,
    Pictures,
    Thumbnails,
    as_thumbnails,
    identity,
    pictures,
)
from hashnext.shards.manifest import Manifest
from hashnext.shards.references import Reference, identities
from hashnext.storage import Folder

LEAKS = pa.schema([
    ("id", pa.string()), ("post_id", pa.string()), ("distance", pa.int32()),
    ("held_out", pa.bool_()),
])  # fmt: skip
"""An evaluation image and a post that shows it, the bits in which their hashes differ, and whether
the post is held out, so that no model is trained on it."""


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """What was found."""

    leaks: pa.Table
    """Of `LEAKS`, by id, then post_id."""
    images: int
    """Evaluation images that were looked for."""

    @property
    def leaked(self) -> set[str]:
        """Ids of the evaluation images that training has seen."""
        rows = self.leaks.filter(~self.leaks["held_out"].to_numpy())
        return set(rows["id"].to_pylist())


def find_leaks(shards: Folder, reference: Reference, config: DuplicatesConfig) -> Leakage:
    """Look for the images of an evaluation set in all shards. Needs a Ray session.

    Args:
        shards: finished shards.
        reference: the evaluation set.
        config: from when on two pictures are copies.
    """
    manifest = Manifest.read(shards)
    posts = _identify(shards, manifest)
    [images] = identities([reference], DecodeLimits(), int(manifest.settings["size"]))
    together = _together(shards, manifest, posts, images)
    found = [
        (together.ids[high].as_py(), together.ids[low].as_py(), distance(together, low, high))
        for low, high in alike(together, posts.num_rows, config)
    ]
    ids, post_ids, distances = zip(*sorted(found), strict=True) if found else ((), (), ())
    out = held_out(post_keys(pa.array(post_ids, pa.string())))
    leaks = pa.table([pa.array(c) for c in (ids, post_ids, distances, out)], LEAKS)
    return Leakage(leaks=leaks, images=images.num_rows)


def _identify(shards: Folder, manifest: Manifest) -> pa.Table:
    """What the pictures in the shards are known by, without thumbnails, in their order."""
    files = [pa.table({"file": [file.name]}) for file in manifest.files]
    found = ray.data.from_blocks(files).map_batches(
        identify_file,
        fn_kwargs={"shards": shards},
        batch_size=1,
    )
    return pa.concat_tables(list(found.iter_batches(batch_size=None, batch_format="pyarrow")))


def identify_file(batch: dict[str, Any], shards: Folder) -> pa.Table:
    """Ray Data task: what the pictures of the file `batch["file"]` are known by."""
    table = shards.read_table(str(batch["file"][0]), ["post_id", "image"])
    return pa.Table.from_pylist(_rows(table), schema=IDENTITY_SCHEMA).select(IN_MEMORY)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return [
        identity(post_id, image, decode(image, DecodeLimits()))
        for post_id, image in zip(
            table["post_id"].to_pylist(), table["image"].to_pylist(), strict=True
        )
    ]


def _together(shards: Folder, manifest: Manifest, posts: pa.Table, images: pa.Table) -> Pictures:
    """The posts' pictures, then those of the evaluation set."""
    sizes = [file.rows for file in manifest.files]
    starts = np.cumsum([0, *sizes])

    def thumbnails(wanted: Iterable[int]) -> dict[int, Thumbnails]:
        found: dict[int, Thumbnails] = {}
        by_file: dict[int, list[int]] = defaultdict(list)
        for row in wanted:
            if row >= posts.num_rows:
                value = images["thumbnails"][row - posts.num_rows].as_py()
                found[row] = as_thumbnails(value)
            else:
                by_file[int(np.searchsorted(starts, row, "right")) - 1].append(row)
        for file, rows in by_file.items():
            table = shards.read_table(manifest.files[file].name, ["post_id", "image"])
            known = _rows(table.take(pa.array(np.array(rows) - starts[file])))
            found |= {
                row: as_thumbnails(each["thumbnails"])
                for row, each in zip(rows, known, strict=True)
            }
        return found

    return pictures(pa.concat_tables([posts, images.select(IN_MEMORY)]), thumbnails)
