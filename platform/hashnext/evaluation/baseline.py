"""Compare two models on the same test images: the paired difference of their accuracies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashnext.errors import DataError, StateError
from hashnext.evaluation.bootstrap import Interval, Scores, difference_interval
from hashnext.evaluation.labelled import LabelledSet
from hashnext.outputs import RESULT
from hashnext.storage import Folder

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Which test images another model got right."""

    correct: NDArray[np.float64]
    """(n,), in the order of the test set: 1 or 0, or the share of several draws."""

    @classmethod
    def read(cls, location: str, test: LabelledSet) -> "Baseline":
        """From the finished `--out` of another `jobs.transfer`.

        Raises:
            StateError: the folder holds no finished transfer.
            DataError: it was scored on other images or labels.
        """
        folder = Folder.at(location)
        if not (folder.has(RESULT) and folder.has(PREDICTIONS)):
            raise StateError(f"--baseline {location}: not the --out of a finished jobs.transfer")
        table = folder.read_table(PREDICTIONS, columns=["id", "label", "correct"])
        found = dict(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
        wanted = dict(zip(test.ids, test.labels.tolist(), strict=True))
        if differing := [i for i in found | wanted if found.get(i) != wanted.get(i)]:
            raise DataError(
                f"--baseline {location}: scored on another test set; {len(differing)} ids or their "
                f"labels differ, such as {differing[0]!r}"
            )
        correct = dict(zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True))
        return cls(correct=np.array([correct[i] for i in test.ids], dtype=np.float64))

    def difference(self, correct: Scores) -> Interval:
        """Accuracy of `correct` (n,) minus the baseline's, with its paired 95 % interval."""
        return difference_interval(correct, self.correct)
