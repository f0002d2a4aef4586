"""Take posts down: out of shards and everything beside them, and never again into any job.

The ids stay recorded as tombstones, of which the vocabulary, the shards and the training of every
later job keep clear. Without --post-ids, posts that were taken down before are taken out of shards
that still hold them. Run again, it finishes what was interrupted, or does nothing.
"""

from dataclasses import dataclass
from typing import Any

from hashnext import cli
from hashnext.posts.id_list import read_post_ids
from hashnext.posts.tombstones import Tombstones
from hashnext.shards.forget import Forgotten, forget
from hashnext.storage import Folder

SHOWN = 20
"""Copies named on the screen."""


@dataclass(frozen=True, kw_only=True)
class Forget:
    """Arguments of the job."""

    shards: str
    """Folder of shards, from jobs.prepare; a path or a URI. One that jobs.prepare has not finished
    is refused: delete it."""
    post_ids: str | None = None
    """Text file of one id a line, or Parquet with `post_id`; a path or a URI. Posts that these
    shards do not hold are recorded, too."""


def main(job: Forget) -> dict[str, Any]:
    """Take the posts down, print and return what was done."""
    tombstones = Tombstones.open()
    post_ids = [] if job.post_ids is None else read_post_ids(job.post_ids)
    shards = Folder.at(job.shards)
    done = forget(shards, post_ids, tombstones)
    result = _figures(done, post_ids) | {
        "posts taken down in all": len(tombstones.ids()),
        "recorded in": tombstones.folder.location,
    }
    cli.print_table(f"forget: {shards.location}", result)
    if done.copies:
        more = f" and {len(done.copies) - SHOWN:,} more" if len(done.copies) > SHOWN else ""
        print(
            f"in quarantine as copies of posts taken down: {', '.join(done.copies[:SHOWN])}{more}; "
            "name them, too, to remove what was noted about their pictures"
        )
    return result


def _figures(done: Forgotten, post_ids: list[str]) -> dict[str, Any]:
    asked = set(post_ids)
    removed = len(asked.intersection(done.removed))
    return {
        "post ids given": len(asked),
        "removed": removed,
        "not in these shards": len(asked) - removed,
        "removed besides, taken down before": len(done.removed) - removed,
        "shard rows": done.after.rows,
        "shard rows before": done.before.rows,
        "fingerprint": done.after.fingerprint,
        "fingerprint before": done.before.fingerprint,
    }


if __name__ == "__main__":
    cli.run(Forget, main, __doc__)
