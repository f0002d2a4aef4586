"""The lower bound says which of the training data nobody has searched for the test images."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hashnext.errors import ConfigError
from hashnext.evaluation.lower_bound import LEAKS_FILE, Leaked
from hashnext.storage import Folder

IDS = ["a", "b", "c", "d"]
OWN, EARLIER = {"dataset": "own"}, {"datasets": ["earlier"], "source": "model"}
PUBLISHED = {"source": "ig_resnext101_32x8.pth", "sha256": "c383"}


@pytest.fixture
def report(tmp_path: Path) -> str:
    """Of a search of the shards `own`: `a` has a copy, `b` one that was held out."""
    folder = Folder.at(tmp_path / "leakage")
    folder.write_json("result.json", {"settings": {"dataset": "own"}})
    folder.write_table(LEAKS_FILE, pa.table({"id": ["a", "b"], "held_out": [False, True]}))
    return folder.location


@pytest.mark.parametrize(
    ("lineage", "unsearched"),
    [
        ({}, None),
        (OWN, None),
        (OWN | {"initial_weights": EARLIER}, "earlier"),
        ({"dataset": "new", "initial_weights": {"source": "m", "datasets": ["own"]}}, "new"),
        (OWN | {"initial_weights": PUBLISHED}, "ig_resnext101_32x8.pth"),
        ({"initial_weights": PUBLISHED}, "ig_resnext101_32x8.pth"),
    ],
)
def test_inherited_data_that_was_not_searched_is_named(
    report: str, lineage: dict[str, Any], unsearched: str | None
) -> None:
    figures = Leaked.read(report, lineage, IDS).figures(IDS, np.array([1.0, 1, 0, 1]))
    assert figures == {
        "leaked_test_images": 1, "top1_lower_bound": 0.5,
        "searched": "own", "trained_on_but_not_searched": unsearched,
    }  # fmt: skip


def test_shards_that_the_model_never_saw_are_refused(report: str) -> None:
    with pytest.raises(ConfigError, match="about shards own; the model was trained on other, earl"):
        Leaked.read(report, {"dataset": "other", "initial_weights": EARLIER}, IDS)
