"""What a model was made from, and which posts it has seen that were taken down since, itself or
in the weights that its training started from.

Posts that were held out are told apart: they were never trained on. What is compared is the
fingerprint of the model's shards, so a post that was taken out of other shards alone does not show;
a warning counts such posts, and jobs.forget on the model's own shards settles which it has seen.
"""

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from hashnext import cli
from hashnext.outputs import JobFolder, flatten
from hashnext.posts import tombstones
from hashnext.posts.tombstones import Tombstones
from hashnext.registry.lineage import INITIAL_WEIGHTS, Seen, seen_datasets, seen_posts
from hashnext.registry.package import ModelPackage

SHOWN = 20
"""Posts named on the screen; the result has all of them."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Arguments of the job."""

    model: str
    """Model package: a folder, a URI, or models:/NAME@ALIAS."""
    out: str | None = None
    """Folder for the answer as result.json, new or this job's own; none when absent."""


def main(job: Lineage) -> dict[str, Any]:
    """Print where the model comes from and what it has seen; return the same."""
    package = ModelPackage.open(job.model)
    datasets = seen_datasets(package.lineage)
    gone = Tombstones.open().table()
    seen = seen_posts(datasets, gone) if datasets else None
    result = {**_origin(package), **_counts(seen), "taken_down": [asdict(p) for p in seen or []]}
    shown = {key: value for key, value in result.items() if key != "taken_down"}
    absent = {key: "unknown" for key, value in shown.items() if value is None} | (
        {} if shown["parent"] else {"parent": "none", INITIAL_WEIGHTS: "none"}
    )
    cli.print_table(f"lineage: {job.model}", flatten(shown | absent))
    for post in (seen or [])[:SHOWN]:
        kind = "held out" if post.held_out else "training"
        print(f"{post.time}  {kind}  {post.post_id}")
    if seen and len(seen) > SHOWN:
        print(f"and {len(seen) - SHOWN:,} more; --out writes all of them")
    if elsewhere := len(tombstones.ids_in(gone)) - len(seen or []):
        print(
            f"warning: {elsewhere:,} other posts were taken down, none from shards of a fingerprint"
            " above or what became of them; if the model's shards held some, they show here once "
            "jobs.forget has run on these shards"
        )
    if job.out is not None:
        _write(job.out, package, result)
    return result


def _origin(package: ModelPackage) -> dict[str, Any]:
    lineage = package.lineage
    return {
        "package": package.fingerprint,
        "dataset": lineage.get("dataset"),
        "vocabulary": lineage.get("vocabulary"),
        "vocabulary_source": package.vocabulary.meta.get("source"),
        "git_commit": lineage.get("git_commit"),
        "parent": lineage.get("parent"),
        INITIAL_WEIGHTS: lineage.get(INITIAL_WEIGHTS),
    }


def _counts(seen: list[Seen] | None) -> dict[str, Any]:
    """Counts of posts taken down; unknown where the package does not name its shards."""
    if seen is None:
        return {"taken_down_trained_on": None, "taken_down_held_out": None}
    held = sum(post.held_out for post in seen)
    return {"taken_down_trained_on": len(seen) - held, "taken_down_held_out": held}


def _write(out: str, package: ModelPackage, result: dict[str, Any]) -> None:
    ids = pa.array([post["post_id"] for post in result["taken_down"]], pa.string())
    inputs = {"package": package.fingerprint, "taken_down": tombstones.digest(ids)}
    folder = JobFolder.claim(out, "lineage", inputs)
    if not folder.finished:
        folder.finish(result)
    print(f"written: {folder.folder.location}")


if __name__ == "__main__":
    cli.run(Lineage, main, __doc__)
