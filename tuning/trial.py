"""One trial of a sweep: pretrain, package, score on the probe's selection slice."""

import json
import os
import time
from pathlib import Path
from typing import Any

import ray.tune

from hashnext import settings
from hashnext.evaluation.labelled import LabelledSet
from hashnext.evaluation.transfer import selection_score
from hashnext.registry.package import ModelPackage
from hashnext.storage import Folder
from hashnext.training.local import run_locally
from hashnext.training.pretrain import PACKAGE, Plan, package

TRIAL = "trial.json"
TRIALS = "trials"


def trainable(
    point: dict[str, Any], plans: dict[str, Plan], probe: LabelledSet, out: str, share: int
) -> None:
    """What Ray Tune runs: `point` holds the trial's name, under which `plans` has its run.

    `share` trials at a time share the cores of a node.
    """
    folder = Path(out) / TRIALS / point["name"]
    with settings.sharing_cores(share):
        ray.tune.report(run_trial(plans[point["name"]], probe, folder))


def run_trial(plan: Plan, probe: LabelledSet, folder: Path) -> dict[str, Any]:
    """Run a trial to its score, or return the score that it has already.

    Args:
        plan: the run, with the trial's vocabulary and resampling.
        probe: labelled training images of the transfer probe; its test set is not touched.
        folder: the trial's folder.

    Returns:
        selection_top1, held-out metrics, labels, seconds and what else the leaderboard shows.
    """
    if (folder / TRIAL).exists():
        return dict(json.loads((folder / TRIAL).read_text()))
    started = time.monotonic()
    outcome, weights = run_locally(plan.run, folder / "checkpoints")
    package(plan, outcome, weights, Folder.at(folder))
    model = ModelPackage.open(str(folder / PACKAGE))
    result = {
        **selection_score(model.build(), model.preprocess, probe),
        "labels": plan.run.num_labels,
        "posts_without_label": plan.unlabelled,
        "expected_epoch": plan.resampling.expected_epoch,
        "ledger": outcome.ledger,
        "seconds": round(time.monotonic() - started, 2),
        **(outcome.held_out.metrics() if outcome.held_out else {}),
    }
    aside = folder / f"{TRIAL}.{os.getpid()}"
    aside.write_text(json.dumps(result, indent=2))
    aside.rename(folder / TRIAL)
    return result
