"""Measure a model on labelled images that it was not trained for.

By linear probe, nearest neighbours, few images of each class, or fine-tuning. Writes result.json,
transfer.png and predictions.parquet, one row a test image; with `--baseline` also the paired
difference to an earlier transfer on the same test images, and with `--leakage` the accuracy that
counts test images seen in training as wrong. Features of frozen weights are computed once and kept
in HASHNEXT_HOME/features for the next transfer.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from hashnext import cli
from hashnext.evaluation import transfer_plot
from hashnext.evaluation.baseline import PREDICTIONS, Baseline
from hashnext.evaluation.few_shot import FewShotConfig, few_shot_transfer
from hashnext.evaluation.finetune import FinetuneConfig
from hashnext.evaluation.labelled import read_labelled
from hashnext.evaluation.lower_bound import Leaked
from hashnext.evaluation.neighbours import knn_transfer
from hashnext.evaluation.scores import per_class
from hashnext.evaluation.transfer import (
    Transfer,
    TransferTask,
    finetune_transfer,
    probe_transfer,
)
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt, build
from hashnext.outputs import JobFolder
from hashnext.recipes import recipe
from hashnext.registry.package import ModelPackage

RANDOM = "random:"
PLOT = "transfer.png"


@dataclass(frozen=True, kw_only=True)
class TransferJob:
    """Arguments of the job."""

    model: str
    """Model package: a folder, a URI or models:/NAME@ALIAS; or random:RECIPE, the same network
    with its initial weights."""
    train: str
    """Parquet file or folder with `image`, `label` and preferably `id`."""
    test: str
    """The same columns; used once, after every setting has been chosen on the training set."""
    out: str
    """Folder of the result, new or this job's own."""
    mode: Literal["probe", "knn", "few_shot", "finetune"] = "probe"
    """Logistic regression on frozen features, their nearest neighbours, logistic regression on a
    few images of each class, or all weights trained."""
    few_shot: FewShotConfig = field(default_factory=FewShotConfig)
    """What `--mode few_shot` draws."""
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    """How `--mode finetune` trains."""
    baseline: str | None = None
    """Finished --out of another transfer to compare with, such as that of random:RECIPE."""
    leakage: str | None = None
    """Finished --out of a jobs.leakage that looked for the test images in the model's shards."""
    seed: int = 0
    """Seed of random weights, of the images drawn and of fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The network that is measured."""

    network: ResNeXt
    preprocess: Preprocess
    fingerprint: str
    """The package's, or the recipe and seed of initial weights."""
    lineage: dict[str, Any] = field(default_factory=dict)
    """Of the package: what it was trained on, if on anything."""


def main(job: TransferJob) -> dict[str, Any]:
    """Run the job and return its result."""
    subject = open_subject(job.model, job.seed)
    task = TransferTask(train=read_labelled(job.train), test=read_labelled(job.test))
    baseline = Baseline.read(job.baseline, task.test) if job.baseline else None
    leaked = Leaked.read(job.leakage, subject.lineage, task.test.ids) if job.leakage else None
    probe = f"{_method(job)} {task.fingerprint}"
    folder = JobFolder.claim(
        job.out, "transfer", _settings(job) | {"fingerprint": subject.fingerprint, "probe": probe}
    )
    if folder.finished:
        return cli.report(folder)
    transfer = _measure(job, subject, task)
    folder.folder.write_table(PREDICTIONS, transfer.predictions)
    theirs = None if baseline is None else per_class(baseline.correct, task.test.labels)
    folder.folder.write_bytes(PLOT, transfer_plot.plot(transfer.figures, job.mode, theirs))
    accuracy = {key: transfer.figures.pop(key) for key in ("top1", "low", "high")}
    result: dict[str, Any] = {
        "transfer": {"model": subject.fingerprint, "probe": probe, **accuracy},
        **transfer.figures,
    }
    if baseline is not None:
        difference = baseline.difference(transfer.predictions["correct"].to_numpy())
        result["over_baseline"] = asdict(difference) | {"excludes_zero": difference.excludes_zero}
    if leaked is not None:
        correct = transfer.predictions["correct"].to_numpy()
        result["leakage"] = leaked.figures(task.test.ids, correct)
    folder.finish(result)
    return cli.report(folder)


def open_subject(model: str, seed: int) -> Subject:
    """The network at a location, or that of a recipe with its initial weights.

    Raises:
        ConfigError: there is no such recipe.
        DataError: there is no whole package.
    """
    if not model.startswith(RANDOM):
        package = ModelPackage.open(model)
        return Subject(
            network=package.build(), preprocess=package.preprocess,
            fingerprint=package.fingerprint, lineage=package.lineage,
        )  # fmt: skip
    config = recipe(model.removeprefix(RANDOM))
    torch.manual_seed(seed)
    return Subject(
        network=build(config.model, num_labels=1),
        preprocess=Preprocess(size=config.stream.size),
        fingerprint=f"{model} seed {seed}",
    )


def _measure(job: TransferJob, subject: Subject, task: TransferTask) -> Transfer:
    network, preprocess = subject.network, subject.preprocess
    match job.mode:
        case "probe":
            return probe_transfer(network, preprocess, task)
        case "knn":
            return knn_transfer(network, preprocess, task)
        case "few_shot":
            return few_shot_transfer(network, preprocess, task, job.few_shot, job.seed)
        case "finetune":
            return finetune_transfer(network, preprocess, task, job.finetune, job.seed)


def _method(job: TransferJob) -> str:
    """What the headline figure is of; figures of two methods do not compare."""
    return f"few_shot {job.few_shot.shots[-1]}" if job.mode == "few_shot" else job.mode


def _settings(job: TransferJob) -> dict[str, Any]:
    """Everything that changes the result: of the modes' own settings those of this mode."""
    others = {"few_shot", "finetune"} - {job.mode}
    return {key: value for key, value in asdict(job).items() if key not in {"out", *others}}


if __name__ == "__main__":
    cli.run(TransferJob, main, __doc__)
