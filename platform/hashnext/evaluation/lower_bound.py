"""Accuracy with every test image that training has seen counted as wrong.

The lower-bound accuracy of Mahajan et al. (ECCV 2018, supplement): what a model would reach on
images never seen lies above it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.evaluation.bootstrap import Scores
from hashnext.outputs import RESULT
from hashnext.storage import Folder

LEAKS_FILE = "leaks.parquet"


@dataclass(frozen=True)
class Leaked:
    """Test images that have copies among the posts of some shards."""

    ids: frozenset[str]
    """Of images with a copy that is not held out."""
    dataset: str
    """Fingerprint of the shards."""

    @classmethod
    def read(cls, location: str, dataset: str | None, ids: Sequence[str]) -> "Leaked":
        """From the finished `--out` of `jobs.leakage`.

        Args:
            location: that folder.
            dataset: fingerprint of the shards that the model was trained on; None: on none.
            ids: of the test images.

        Raises:
            StateError: the folder holds no finished report.
            ConfigError: the report is about other shards.
            DataError: the report is about other images.
        """
        folder = Folder.at(location)
        if not (folder.has(RESULT) and folder.has(LEAKS_FILE)):
            raise StateError(f"--leakage {location}: not the --out of a finished jobs.leakage")
        found = folder.read_json(RESULT)["settings"]["dataset"]
        if dataset is not None and found != dataset:
            raise ConfigError(
                "leakage", location,
                f"about shards {found[:12]}; the model was trained on {dataset[:12]}",
            )  # fmt: skip
        leaks = folder.read_table(LEAKS_FILE, ["id", "held_out"])
        seen = frozenset(leaks.filter(~leaks["held_out"].to_numpy())["id"].to_pylist())
        if unknown := seen.difference(ids):
            raise DataError(
                f"--leakage {location}: about other images: {len(unknown):,} of its ids are not "
                f"among those measured, such as {min(unknown)!r}"
            )
        return cls(seen, found)

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
        }
