"""Tell which images of an evaluation set have copies in the shards that a model was trained on.

Writes leaks.parquet, a row for each evaluation image and post that shows it; `jobs.transfer
--leakage` then counts these images as wrong, which gives the lower bound of the accuracy.
"""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from hashnext import cli, cluster
from hashnext.evaluation.lower_bound import LEAKS_FILE
from hashnext.outputs import JobFolder
from hashnext.shards.duplicates import DuplicatesConfig
from hashnext.shards.leakage import Leakage, find_leaks
from hashnext.shards.manifest import Manifest
from hashnext.shards.references import Reference
from hashnext.storage import Folder


@dataclass(frozen=True, kw_only=True)
class LeakageJob:
    """Arguments of the job."""

    shards: str
    """Folder of finished shards."""
    evaluation: str
    """Parquet file or folder with `image` and `id`, such as the test set of a transfer."""
    out: str
    """Folder of the result, new or this job's own."""
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    """From when on two pictures are copies; `remove` plays no part."""


def main(job: LeakageJob) -> dict[str, Any]:
    """Run the job and return its result."""
    shards, reference = Folder.at(job.shards), Reference.open(job.evaluation)
    dataset = Manifest.read(shards).fingerprint
    settings = {key: value for key, value in asdict(job).items() if key != "out"}
    del settings["duplicates"]["remove"]
    inputs = {"dataset": dataset, "evaluation_fingerprint": reference.fingerprint}
    folder = JobFolder.claim(job.out, "leakage", settings | inputs)
    if folder.finished:
        return cli.report(folder)
    started = time.monotonic()
    with cluster.session():
        cluster.require_shared_locations(shards=job.shards, out=job.out)
        leakage = find_leaks(shards, reference, job.duplicates)
    folder.folder.write_table(LEAKS_FILE, leakage.leaks)
    folder.finish(_figures(leakage) | {"seconds": round(time.monotonic() - started, 1)})
    return cli.report(folder)


def _figures(leakage: Leakage) -> dict[str, Any]:
    return {
        "counts": {
            "evaluation_images": leakage.images,
            "leaked_images": len(leakage.leaked),
            "posts_that_show_them": len(set(leakage.leaks["post_id"].to_pylist())),
        },
        "leaked_share": len(leakage.leaked) / max(leakage.images, 1),
    }


if __name__ == "__main__":
    cli.run(LeakageJob, main, __doc__)
