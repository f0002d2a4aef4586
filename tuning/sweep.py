"""Sweep vocabulary size and resampling strength, ranked on the transfer probe's selection slice.

All trials read the same shards: a vocabulary and a strength are views applied while streaming. The
best trial is registered, and only its accuracy on the probe's test set is computed. Run again, the
sweep keeps the trials that have finished.
"""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hashnext import cli, cluster
from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError
from hashnext.evaluation.labelled import read_labelled
from hashnext.evaluation.transfer import TransferTask, probe_transfer
from hashnext.hashtags.build import build_vocabulary
from hashnext.hashtags.config import VocabularyConfig
from hashnext.hashtags.corpus import read_corpus
from hashnext.hashtags.cut import recount
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.outputs import JobFolder
from hashnext.posts.readers import PostSource
from hashnext.posts.schema import Columns
from hashnext.progress import meter
from hashnext.recipes import recipe
from hashnext.registry import versions
from hashnext.registry.gates import TransferFigure
from hashnext.registry.package import ModelPackage
from hashnext.registry.store import RunLogger
from hashnext.shards.manifest import Manifest
from hashnext.storage import Folder, is_uri
from hashnext.training.pretrain import PACKAGE, Plan, plan
from tuning.leaderboard import Row, document, show
from tuning.report import plot
from tuning.spaces import ALL, Point, Space
from tuning.trial import TRIALS
from tuning.trials import Placement, run_trials

EXPERIMENT = "sweep"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Arguments of the sweep."""

    posts: str
    """Posts whose hashtags make the vocabulary; the shards themselves are a good choice."""
    shards: str
    """Folder of shards, from jobs.prepare."""
    probe_train: str
    """Labelled images of the transfer probe; 20 % of them rank the trials."""
    probe_test: str
    """Test set of the probe; used once, for the best trial."""
    out: str
    """Folder of trials and leaderboard, new or this sweep's own; a path that all nodes share."""
    recipe: str = "nano"
    """Recipe of every trial."""
    images: int | None = None
    """Length of each trial in images; None takes the recipe's."""
    space: Space = field(default_factory=Space)
    """The grid."""
    vocabulary: VocabularyConfig = field(default_factory=VocabularyConfig)
    """How the full vocabulary is made; the trials cut it."""
    columns: Columns = field(default_factory=Columns)
    """Names of the columns in the posts."""
    assume_public: bool = False
    """Say that all posts are public where the source has no `public` column."""
    placement: Placement = field(default_factory=Placement)
    """How many trials run at a time, and on what."""
    name: str = "hashnext"
    """Registered model that the best trial becomes a version of."""

    def config(self) -> PretrainConfig:
        """Configuration of the trials, but for what the grid sets."""
        found = recipe(self.recipe)
        return found.shortened(self.images) if self.images else found

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that changes the result."""
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in ("out", "placement", "name")
        }


def main(sweep: Sweep) -> dict[str, Any]:
    """Run the sweep and return its result."""
    if is_uri(sweep.out):
        raise ConfigError("out", sweep.out, "trials need a path; mount the store on every node")
    source = PostSource.open(sweep.posts, sweep.columns, sweep.assume_public)
    task = TransferTask(
        train=read_labelled(sweep.probe_train), test=read_labelled(sweep.probe_test)
    )
    manifest = Manifest.read(Folder.at(sweep.shards))
    inputs = {"dataset": manifest.fingerprint, "source": source.fingerprint}
    folder = JobFolder.claim(
        sweep.out, "sweep", sweep.settings | inputs | {"probe": task.fingerprint}
    )
    if folder.finished:
        return cli.report(folder)
    started = time.monotonic()
    with cluster.session():
        cluster.require_shared_locations(posts=sweep.posts, shards=sweep.shards, out=sweep.out)
        plans = _plans(sweep, _vocabulary(sweep, source, folder.folder), source)
        _foretell(plans)
        with meter("sweep", len(plans), "trials") as progress:
            rows = run_trials(plans, task.train, folder.path, sweep.placement, progress)
    _publish(folder, rows)
    best = _champion(sweep, rows[0], task, folder.path)
    folder.finish({"trials": document(rows), **best, "seconds": time.monotonic() - started})
    return cli.report(folder)


def _vocabulary(sweep: Sweep, source: PostSource, out: Folder) -> Vocabulary:
    """The full vocabulary, kept in the sweep's folder."""
    kept = out.folder("vocabulary")
    if not kept.has("vocabulary.json"):
        build_vocabulary(source, sweep.vocabulary).save(kept)
    return Vocabulary.load(kept.location)


def _plans(sweep: Sweep, full: Vocabulary, source: PostSource) -> list[tuple[Point, Plan]]:
    """The run of every point. A cut vocabulary is counted anew: hypernyms gain posts by the cut."""
    config, shards = sweep.config(), Folder.at(sweep.shards)
    plans, cuts, corpus = [], {(ALL, full.specificity): full}, None
    for point in sweep.space.points():
        if point.max_labels > full.num_labels:
            raise ConfigError(
                "space.max-labels", point.max_labels,
                f"the vocabulary has {full.num_labels} labels; 0 takes them all",
            )  # fmt: skip
        wanted = point.max_labels, point.specificity
        if wanted not in cuts:
            cut = full if point.max_labels == ALL else full.most_frequent(point.max_labels)
            corpus = corpus or read_corpus(source)
            cuts[wanted] = recount(cut.with_specificity(point.specificity), corpus)
        plans.append((point, plan(point.applied(config), shards, cuts[wanted])))
    return plans


def _foretell(plans: list[tuple[Point, Plan]]) -> None:
    """Print what resampling does at every point."""
    done = {point.name: planned.resampling for point, planned in plans}
    cli.print_table("before the sweep: expected epoch", {
        name: f"{each.expected_epoch:,.0f} images, {each.labels_raised:.1%} of the labels raised"
        for name, each in done.items()
    })  # fmt: skip
    for point, planned in plans:
        for warning in planned.warnings():
            print(f"warning: {point.name}: {warning}")


def _publish(folder: JobFolder, rows: list[Row]) -> None:
    """Table, JSON, plot, and a run in MLflow for each trial."""
    show(rows)
    folder.folder.write_json("leaderboard.json", document(rows))
    folder.folder.write_bytes("leaderboard.png", plot(rows))
    for row in rows:
        logger = RunLogger()
        logger.open(EXPERIMENT, row.point.name, asdict(row.point), {"sweep": str(folder.path)})
        numbers = {k: v for k, v in (row.metrics or {}).items() if isinstance(v, int | float)}
        logger.log({k: float(v) for k, v in numbers.items()}, step=0)
        logger.finish("FINISHED" if row.metrics else "FAILED")


def _champion(sweep: Sweep, best: Row, task: TransferTask, out: Path) -> dict[str, Any]:
    """The best trial's test figure, computed once, and its version in the registry."""
    package = ModelPackage.open(str(out / TRIALS / best.point.name / PACKAGE))
    figures = probe_transfer(package.build(), package.preprocess, task).figures
    figure = TransferFigure(
        model=package.fingerprint, probe=f"probe {task.fingerprint}", top1=figures["top1"],
        low=figures["low"], high=figures["high"],
    )  # fmt: skip
    registered = versions.register(package, sweep.name, figure)
    return {
        "best": best.point.name,
        "model": f"models:/{sweep.name}/{registered.version}",
        "transfer": asdict(figure),
    }


if __name__ == "__main__":
    cli.run(Sweep, main, __doc__)
