"""Accuracy with every test image that training has seen counted as wrong.

The lower-bound accuracy of Mahajan et al. (ECCV 2018, supplement): what a model would reach on
images never seen lies above it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.evaluation.bootstrap import Scores
from hashnext.outputs import RESULT
from hashnext.registry.lineage import INITIAL_WEIGHTS, seen_datasets
from hashnext.storage import Folder

LEAKS_FILE = "leaks.parquet"


@dataclass(frozen=True)
class Leaked:
    """Test images that have copies among the posts of some shards."""

    ids: frozenset[str]
    """Of images with a copy that is not held out."""
    dataset: str
    """Fingerprint of the shards."""
    unsearched: tuple[str, ...] = ()
    """What else the model was trained on, itself or through the weights that it started from:
    fingerprints of shards, or the source of weights whose images have none. With copies among
    these, the accuracy would be lower still."""

    @classmethod
    def read(cls, location: str, lineage: Mapping[str, Any], ids: Sequence[str]) -> "Leaked":
        """From the finished `--out` of `jobs.leakage`.

        Args:
            location: that folder.
            lineage: of the model; empty where it was trained on nothing.
            ids: of the test images.

        Raises:
            StateError: the folder holds no finished report.
            ConfigError: the report is about shards that the model was not trained on.
            DataError: the report is about other images.
        """
        folder = Folder.at(location)
        if not (folder.has(RESULT) and folder.has(LEAKS_FILE)):
            raise StateError(f"--leakage {location}: not the --out of a finished jobs.leakage")
        found = folder.read_json(RESULT)["settings"]["dataset"]
        seen = seen_datasets(lineage)
        if seen and found not in seen:
            raise ConfigError(
                "leakage", location,
                f"about shards {found[:12]}; the model was trained on "
                f"{', '.join(each[:12] for each in seen)}",
            )  # fmt: skip
        leaks = folder.read_table(LEAKS_FILE, ["id", "held_out"])
        copied = frozenset(leaks.filter(~leaks["held_out"].to_numpy())["id"].to_pylist())
        if unknown := copied.difference(ids):
            raise DataError(
                f"--leakage {location}: about other images: {len(unknown):,} of its ids are not "
                f"among those measured, such as {min(unknown)!r}"
            )
        return cls(copied, found, _unsearched(lineage, found))

    def figures(self, ids: Sequence[str], correct: Scores) -> dict[str, Any]:
        """Leaked test images, and the lower bound of top-1.

        Args:
            ids: of the test images, (n,).
            correct: whether top-1 is right, or in which share of several draws, (n,).
        """
        leaked = np.array([each in self.ids for each in ids], bool)
        return {
            "leaked_test_images": int(leaked.sum()),
            "top1_lower_bound": float(np.where(leaked, 0.0, correct).mean()),
            "searched": self.dataset,
            "trained_on_but_not_searched": ", ".join(self.unsearched) or None,
        }


def _unsearched(lineage: Mapping[str, Any], searched: str) -> tuple[str, ...]:
    origin = lineage.get(INITIAL_WEIGHTS) or {}
    unknown = [origin["source"]] if origin and "datasets" not in origin else []
    return (*(each for each in seen_datasets(lineage) if each != searched), *unknown)
