"""Turn posts into clean shards: public posts only, images decoded strictly, shrunk and stripped.

Copies are removed, of other posts and of the images of evaluation sets; duplicates.html shows them.
Every post ends up in a shard or, with its reason, in quarantine.parquet. Run again, it continues.
"""

import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hashnext import cli, cluster
from hashnext.outputs import JobFolder
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns
from hashnext.progress import meter
from hashnext.shards.budget import ErrorBudget
from hashnext.shards.manifest import Manifest
from hashnext.shards.part import PrepareConfig
from hashnext.shards.prepare import prepare
from hashnext.shards.references import Reference


@dataclass(frozen=True, kw_only=True)
class Prepare(PrepareConfig):
    """Arguments of the job."""

    posts: str
    """Parquet file or folder, JSONL manifest or WebDataset tars; a path or a URI."""
    out: str
    """Folder of the shards, new or this job's own."""
    assume_public: bool = False
    """Say that all posts are public where the source has no `public` column."""
    columns: Columns = field(default_factory=Columns)
    """Names of the columns in the source."""
    max_bad_fraction: float = ErrorBudget.max_bad_fraction
    """Share of the public posts that may be broken, unreachable or repeated before the job stops.
    Run again with a larger one, it continues."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that changes the shards."""
        other = ("out", "max_bad_fraction")
        return {key: value for key, value in asdict(self).items() if key not in other}


def main(job: Prepare) -> dict[str, Any]:
    """Run the job and return its result."""
    budget = ErrorBudget(max_bad_fraction=job.max_bad_fraction)
    source = PostSource.open(job.posts, job.columns, job.assume_public)
    source.require("image")
    references = [Reference.open(location) for location in job.exclude_similar_to]
    inputs = {
        "source_fingerprint": source.fingerprint,
        "exclude_fingerprints": [reference.fingerprint for reference in references],
    }
    folder = JobFolder.claim(job.out, "prepare", job.settings | inputs)
    if folder.finished:
        return cli.report(folder)
    started = time.monotonic()
    config = PrepareConfig(**{f.name: getattr(job, f.name) for f in fields(PrepareConfig)})
    with cluster.session(), meter("prepare", source.rows or 0, "posts") as progress:
        cluster.require_shared_locations(posts=job.posts, out=job.out)
        manifest = prepare(source, folder.folder, config, progress, references, budget)
    folder.finish(_figures(manifest, time.monotonic() - started))
    return cli.report(folder)


def _figures(manifest: Manifest, seconds: float) -> dict[str, Any]:
    return {
        **manifest.figures(),
        "seconds": round(seconds, 2),
        "posts_per_s": round(manifest.input_posts / seconds, 1),
    }


if __name__ == "__main__":
    cli.run(Prepare, main, __doc__)
