"""The grid of a sweep: its points, their names, and what is refused."""

import pytest

from hashnext.errors import ConfigError
from hashnext.recipes import nano
from tuning.spaces import Space


def test_every_combination_is_a_point_with_a_name_of_its_own() -> None:
    space = Space(max_labels=(20, 0), alpha=(0.0, 0.5), specificity=("drop_ancestors", "weight"))
    names = [point.name for point in space.points()]
    assert len(set(names)) == 8
    assert "labels-20-alpha-0.5" in names
    assert "labels-all-alpha-0-weight" in names


def test_a_point_sets_the_resampling_strength() -> None:
    (point,) = Space(alpha=(0.25,)).points()
    assert point.applied(nano()).resampling.alpha == 0.25


@pytest.mark.parametrize(
    "wrong", [{"alpha": (1.5,)}, {"alpha": ()}, {"max_labels": (-1,)}, {"max_labels": (3, 3)},
              {"specificity": ("keep", "keep")}],
)  # fmt: skip
def test_bad_grids_are_refused(wrong: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(ConfigError, match="space"):
        Space(**wrong)  # type: ignore[arg-type]  # wrong on purpose
