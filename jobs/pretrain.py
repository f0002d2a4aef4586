"""Pretrain a tagging network on shards, with Ray Train, and write its model package.

The figures on held-out posts are in result.json, and drawn in held_out.png. curves.png shows how
the run went, also where it was stopped or failed; initial_weights.json, with `--initial-weights`,
what became of each of their parameters.

The first argument names the recipe; every field of its configuration can be set behind it. Run
again with the same --out, the job continues from its last checkpoint.
"""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Union

import tyro

from hashnext import cli, cluster
from hashnext.config import PretrainConfig
from hashnext.errors import DataError, StateError, Terminated
from hashnext.evaluation import held_out_plot
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.models.initial_weights import read_weights
from hashnext.models.load_report import LOAD_REPORT, listed
from hashnext.outputs import JobFolder, flatten
from hashnext.progress import meter
from hashnext.recipes import RECIPES
from hashnext.registry.store import RunLogger
from hashnext.shards.manifest import Manifest
from hashnext.shards.missing import missing_posts, posts_of, posts_of_lost_files
from hashnext.shards.stream import TrainingSet
from hashnext.storage import Folder
from hashnext.training.curves import METRICS, plot
from hashnext.training.loop import NotFinite
from hashnext.training.pretrain import PACKAGE, Plan, package, plan
from hashnext.training.ray_trainer import fit
from hashnext.training.worker import Outcome
from hashnext.training.workers import WorkersConfig

EXPERIMENT = "pretrain"
MLFLOW_RUN, CURVES, OFFENDING = "mlflow_run.json", "curves.png", "offending_posts.json"
HELD_OUT, LOST = "held_out.png", "lost_files.json"


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Arguments of the job."""

    shards: str
    """Folder of shards, from jobs.prepare."""
    vocabulary: str
    """Folder of a vocabulary, from jobs.vocabulary."""
    out: str
    """Folder of checkpoints and of the model package; new or this job's own."""
    recipe: tyro.conf.Suppress[str]
    config: Annotated[PretrainConfig, tyro.conf.arg(name="")]
    initial_weights: str | None = None
    """Weights to start from: a file, URI or web address of published ones (WSL, torchvision, timm),
    or a model package."""
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    """How many workers train."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that changes the model; the number of workers does not."""
        return {"recipe": self.recipe, **asdict(self.config)}


def main(job: Pretrain) -> dict[str, Any]:
    """Run the job and return its result."""
    shards, vocabulary = Folder.at(job.shards), Vocabulary.load(job.vocabulary)
    manifest = Manifest.read(shards)
    initial = read_weights(job.initial_weights) if job.initial_weights else None
    lineage = {
        "dataset": manifest.fingerprint, "vocabulary": vocabulary.fingerprint,
        **({"initial_weights": initial.sha256} if initial else {}),
    }  # fmt: skip
    folder = JobFolder.claim(job.out, "pretrain", job.settings | lineage)
    if folder.finished:
        return cli.report(folder)
    started = time.monotonic()
    with cluster.session():
        cluster.require_shared_locations(shards=job.shards, out=job.out)
        lost = folder.folder.read_json(LOST) if folder.folder.has(LOST) else None
        with listed(folder.folder):
            planned = plan(job.config, shards, vocabulary, initial, lost)
        folder.folder.write_json(LOST, planned.lost_files)
        if planned.loaded:
            folder.folder.write_json(LOAD_REPORT, planned.loaded.document())
        cli.print_table(f"before the run: {job.recipe}", flatten(planned.figures()))
        for warning in planned.warnings():
            print(f"warning: {warning}")
        outcome = _run(job, planned, folder.folder)
    if missing := len(outcome.missing):
        print(f"warning: {missing:,} posts could not be read; result.json names them")
    if outcome.held_out:
        folder.folder.write_bytes(HELD_OUT, held_out_plot.plot(outcome.held_out))
    folder.finish(_figures(planned, outcome, time.monotonic() - started))
    return cli.report(folder)


def _run(job: Pretrain, planned: Plan, out: Folder) -> Outcome:
    """Train, write the package, and have MLflow know of both."""
    name = f"{job.recipe} {out.path.rsplit('/', 1)[-1]}"
    logger = _logger(out, name, asdict(job.config))
    try:
        with meter("pretrain", job.config.schedule.images, "images") as progress:
            outcome, last = fit(planned.run, out, job.workers, logger, progress)
        with last.as_directory() as weights:
            package(planned, outcome, Path(weights), out)
    except NotFinite as error:
        logger.finish("FAILED")
        raise _with_posts(error, planned.run.training, out) from error
    except BaseException as error:
        logger.finish("KILLED" if isinstance(error, Terminated) else "FAILED")
        raise
    finally:
        _draw_curves(logger, out, name)
    if outcome.held_out:
        logger.log(outcome.held_out.metrics(), step=job.config.schedule.images)
    logger.tag({"ledger": outcome.ledger, "package": out.folder(PACKAGE).location})
    logger.finish()
    return outcome


def _draw_curves(logger: RunLogger, out: Folder, title: str) -> None:
    """Draw what MLflow holds, however the run has ended; a picture is no reason to fail."""
    try:
        curves = {metric: logger.curve(metric) for metric in METRICS}
        if any(curves.values()):
            out.write_bytes(CURVES, plot(curves, title))
    except (OSError, StateError) as error:
        print(f"warning: {CURVES} was not drawn ({error})")


def _logger(out: Folder, name: str, params: dict[str, Any]) -> RunLogger:
    """The run in MLflow: that of the earlier attempts, if this one continues them."""
    logger = RunLogger()
    if out.has(MLFLOW_RUN):
        logger.run_id = str(out.read_json(MLFLOW_RUN)["run_id"])
        if logger.reopen():
            return logger
    out.write_json(MLFLOW_RUN, {"run_id": logger.open(EXPERIMENT, name, params, {})})
    return logger


def _with_posts(error: NotFinite, training: TrainingSet, out: Folder) -> DataError:
    """The error, and a file that names the posts behind it."""
    posts = posts_of(training.shards, training.manifest, training.index, error.keys)
    out.write_json(OFFENDING, posts)
    first = ", ".join(str(post["post_id"]) for post in posts[:3])
    return DataError(
        f"{error}; posts {first}{', ...' if len(posts) > 3 else ''} ({len(posts)} in "
        f"{out.location_of(OFFENDING)}); the last checkpoint is whole"
    )


def _figures(planned: Plan, outcome: Outcome, seconds: float) -> dict[str, Any]:
    training = planned.run.training
    at = training.shards, training.manifest
    missing = missing_posts(*at, outcome.missing, outcome.skipped)
    return {
        "counts": planned.figures() | {"samples": outcome.samples, "wasted": outcome.wasted},
        "held_out": outcome.held_out.figures() if outcome.held_out else None,
        "ledger": outcome.ledger,
        "missing_posts": [*missing, *posts_of_lost_files(*at, planned.lost_files)],
        "package": PACKAGE,
        "seconds": round(seconds, 2),
    }


def command_line() -> Any:
    """The job's arguments: one subcommand a recipe, with the recipe's values as defaults."""
    return Union[  # noqa: UP007 - built at run time
        tuple(
            Annotated[
                Pretrain,
                tyro.conf.subcommand(name, default=_defaults(name), description=make.__doc__),
            ]
            for name, make in RECIPES.items()
        )
    ]


def _defaults(name: str) -> Pretrain:
    missing: Any = tyro.MISSING
    return Pretrain(
        shards=missing, vocabulary=missing, out=missing, recipe=name, config=RECIPES[name]()
    )


if __name__ == "__main__":
    cli.run(command_line(), main, __doc__)
