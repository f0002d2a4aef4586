"""Pretraining as the driver sees it: shards and vocabulary in, model package out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashnext import settings
from hashnext.config import PretrainConfig
from hashnext.errors import ConfigError, DataError
from hashnext.evaluation.hierarchy import LabelNames
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.models.initial_weights import InitialWeights, load_into
from hashnext.models.load_report import LoadReport
from hashnext.models.resnext import build
from hashnext.registry.lineage import INITIAL_WEIGHTS
from hashnext.registry.package import write_package
from hashnext.shards.index import LabelIndex, build_index
from hashnext.shards.manifest import Manifest
from hashnext.shards.noise import with_noise
from hashnext.shards.resampling import Resampling, resample
from hashnext.shards.stream import TrainingSet
from hashnext.storage import Folder
from hashnext.training import checkpoint
from hashnext.training.takedowns import refuse_old_counts, refuse_tombstoned
from hashnext.training.worker import Outcome, Run

PACKAGE = "model"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that is ready to start, and the figures known before it does."""

    run: Run
    vocabulary: Vocabulary
    resampling: Resampling
    posts: int
    """Posts in the shards."""
    unlabelled: int
    """Posts without a label in this vocabulary; they are not trained on."""
    loaded: LoadReport | None
    """What the run starts from, if not from random weights."""

    def figures(self) -> dict[str, Any]:
        """What is known before the run."""
        epoch = self.resampling.expected_epoch
        return {
            **({"initial_weights": self.loaded.figures()} if self.loaded else {}),
            "posts": self.posts,
            "posts_without_label": self.unlabelled,
            "training_posts": len(self.run.training.index),
            "held_out_posts": len(self.run.held_out.index),
            "labels": self.run.num_labels,
            "threshold": self.resampling.threshold,
            "labels_raised": self.resampling.labels_raised,
            "posts_capped": self.resampling.posts_capped,
            "expected_epoch": epoch,
            "epochs": self.run.config.schedule.images / epoch,
        }

    @property
    def lost_files(self) -> dict[str, str]:
        """Files of the shards that cannot be read, which the run leaves out, and why."""
        return self.run.training.index.lost_files

    def warnings(self) -> list[str]:
        """What the user should know before the run."""
        lost = [f"{name} cannot be read, its posts are left out ({error})"
                for name, error in self.lost_files.items()]  # fmt: skip
        return [*lost, *self.resampling.warnings(self.run.config.resampling)]


def plan(
    config: PretrainConfig, shards: Folder, vocabulary: Vocabulary,
    initial: InitialWeights | None = None, lost: Mapping[str, str] | None = None,
) -> Plan:  # fmt: skip
    """Apply the vocabulary to the shards and work out the resampling. Needs a Ray session.

    Args:
        config: the run.
        shards: of jobs.prepare.
        vocabulary: its labels.
        initial: weights to start from; their head is taken over where it is of this vocabulary.
        lost: `Plan.lost_files` of the run when it began, if it is continued.

    Raises:
        DataError: no training post carries a label, files of the shards have been lost since the
            run began, or the initial weights are of another network.
        ConfigError: the loss does not go with the vocabulary.
        StateError: the shards hold posts that were taken down, or the vocabulary counts some that
            the shards held.
    """
    shares = _shares(config, vocabulary)
    loaded = _fitting(config, vocabulary, initial) if initial else None
    manifest = Manifest.read(shards)
    index = build_index(shards, manifest, vocabulary.view(), lost)
    refuse_tombstoned(shards, index)
    refuse_old_counts(shards, manifest, vocabulary)
    training, evaluation = _split(config, shards, index)
    frequencies = vocabulary.frequencies()
    resampling = resample(config.resampling, frequencies, training.rarest(frequencies))
    over = partial(
        TrainingSet, shards=shards, manifest=manifest, seed=config.seed, config=config.stream
    )
    run = Run(
        config=config,
        training=over(index=training, factors=resampling.factors),
        held_out=over(index=evaluation, factors=np.ones(len(evaluation))),
        num_labels=vocabulary.num_labels,
        label_posts=vocabulary.labels["posts"].to_pylist(),
        label_names=LabelNames.of(vocabulary),
        label_weights=shares,
        initial={name: initial.state[name] for name in loaded.loaded}
        if initial and loaded
        else None,
    )
    return Plan(
        run=run, vocabulary=vocabulary, resampling=resampling, posts=manifest.rows,
        unlabelled=index.unlabelled, loaded=loaded,
    )  # fmt: skip


def _split(
    config: PretrainConfig, shards: Folder, index: LabelIndex
) -> tuple[LabelIndex, LabelIndex]:
    """The posts to train on, with the noise asked for, and those held out."""
    training = index.subset(~index.held_out)
    if not len(training):
        raise DataError(f"shards {shards.location}: no post carries a label of the vocabulary")
    return with_noise(training, config.label_noise, config.seed), index.subset(index.held_out)


def _shares(config: PretrainConfig, vocabulary: Vocabulary) -> NDArray[np.float32] | None:
    """How a post's labels share its target, if they do not share it evenly."""
    shares = vocabulary.target_weights()
    if shares is not None and config.loss.kind == "sigmoid":
        raise ConfigError(
            "loss.kind", "sigmoid",
            "each label is judged on its own; a vocabulary of --specificity weight shares a target",
        )  # fmt: skip
    return shares


def _fitting(config: PretrainConfig, vocabulary: Vocabulary, initial: InitialWeights) -> LoadReport:
    head = initial.lineage.get("vocabulary") == vocabulary.fingerprint
    return load_into(build(config.model, vocabulary.num_labels), initial, head)


def package(plan: Plan, outcome: Outcome, weights: Path, out: Folder) -> Folder:
    """Write the model package of a finished run and return its folder.

    Args:
        plan: what was run.
        outcome: how it went.
        weights: folder of the last checkpoint.
        out: the job's folder; the package goes to `model` inside.
    """
    last = checkpoint.load(weights)
    origin = plan.loaded.origin if plan.loaded else None
    folder = out.folder(PACKAGE)
    write_package(
        folder,
        state_dict=last.evaluated,
        config=plan.run.config.model,
        vocabulary=plan.vocabulary,
        preprocess=plan.run.preprocess,
        calibration=(
            outcome.held_out.calibration_document()
            if outcome.held_out
            else {"temperature": 1.0, "activation": plan.run.config.loss.kind}
        ),
        lineage={
            "dataset": plan.run.training.manifest.fingerprint,
            "vocabulary": plan.vocabulary.fingerprint,
            "git_commit": settings.git_commit(),
            "parent": origin["sha256"] if origin else None,
            **({INITIAL_WEIGHTS: origin} if origin else {}),
            "ledger": outcome.ledger,
            "images_seen": last.state.images_seen,
        },
    )
    return folder
