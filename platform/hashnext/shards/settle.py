"""Once every part is made: take out repeated ids, copies, and posts that show evaluation images.

A post of which any row is not public goes too.

What is taken out follows from the pictures as they were before anything was taken out, and each
part is rewritten at most once, so a killed run ends with the same bytes as one that was not.
"""

from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa

from hashnext.shards import records
from hashnext.shards.collection import Collection, collect
from hashnext.shards.duplicates import Removal, find_removals
from hashnext.shards.duplicates_page import Copy, preview, write_page
from hashnext.shards.part import PrepareConfig, Rejection
from hashnext.shards.references import Reference
from hashnext.storage import Folder

NOT_EVERYWHERE_PUBLIC = "another row with this id is not stated public"


def settle(
    out: Folder, config: PrepareConfig, num_parts: int, references: Sequence[Reference],
    seen: Sequence[pa.Table],
) -> None:  # fmt: skip
    """Move what may not stay from the parts to their quarantine, and write `duplicates.html`.

    Args:
        out: folder of the shards, all parts made.
        references: evaluation sets of which no image may stay.
        seen: what the images of each are known by (`identities`).
    """
    collection = collect(out, num_parts, seen, _private(out, num_parts))
    removals = find_removals(collection.images, collection.num_posts, config.duplicates)
    copies = [_copy(removal, collection, num_parts, references) for removal in removals]
    rejections: dict[int, dict[int, Rejection]] = defaultdict(dict)
    for part, row, post_id in collection.repeated:
        rejections[part][row] = Rejection(post_id, "identity", "repeated_post_id", "id met before")
    for part, row, post_id in collection.private:
        rejections[part][row] = Rejection(post_id, "identity", "private", NOT_EVERYWHERE_PUBLIC)
    for removal, copy in zip(removals, copies, strict=True):
        part, row = int(collection.tables[removal.row]), int(collection.rows[removal.row])
        rejections[part][row] = Rejection(copy.post_id, "duplicates", copy.reason, copy.detail)
    for part in sorted(rejections):
        if not records.read(out, part).settled:
            _take_out(out, part, rejections[part])
    write_page(out, copies, references)


def _private(out: Folder, num_parts: int) -> pa.Array:
    """Ids of which some row was not stated public: strings, not in a Python object each."""
    quarantines = (records.read(out, part).quarantine for part in range(num_parts))
    parts = [
        pa.array([each.post_id for each in quarantine if each.reason == "private"], pa.string())
        for quarantine in quarantines
    ]
    return pa.chunked_array(parts, pa.string()).combine_chunks()


def _copy(
    removal: Removal, collection: Collection, num_parts: int, references: Sequence[Reference]
) -> Copy:
    ids, table = collection.images.ids, int(collection.tables[removal.kept])
    return Copy(
        post_id=ids[removal.row].as_py(),
        part=int(collection.tables[removal.row]),
        kept_id=ids[removal.kept].as_py(),
        kept_part=table if table < num_parts else None,
        reference=None if table < num_parts else references[table - num_parts],
        reason=removal.reason,
        distance=removal.distance,
    )


def _take_out(out: Folder, part: int, rejections: dict[int, Rejection]) -> None:
    """Rewrite a part without some rows; previews of copies go beside its record."""
    table = out.read_table(records.file_name(part))
    copies = [row for row in sorted(rejections) if rejections[row].stage == "duplicates"]
    images = table["image"].take(pa.array(copies, pa.int64())).to_pylist()
    shown = {"post_id": [rejections[row].post_id for row in copies],
             "image": [preview(image) for image in images]}  # fmt: skip
    out.write_table(records.removed_name(part), pa.table(shown))
    keep = [row for row in range(table.num_rows) if row not in rejections]
    quarantine = [*records.read(out, part).quarantine]
    quarantine += [rejections[row] for row in sorted(rejections)]
    records.write_rows(out, part, table.take(pa.array(keep, pa.int64())), quarantine, settled=True)
