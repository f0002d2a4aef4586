"""The promotion gate: what refuses, with which figures, and what must never refuse."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashnext.errors import ConfigError, DataError, StateError
from hashnext.registry.gates import (
    LINEAGE_KEYS,
    TransferFigure,
    check_lineage,
    check_transfer,
)  # fmt: skip
from hashnext.registry.package import ModelPackage
from hashnext.storage import Folder


def figure(low: float, top1: float, high: float, probe: str = "p") -> TransferFigure:
    return TransferFigure(model="m", probe=probe, low=low, top1=top1, high=high)


figures = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(lambda v: figure(*sorted(v)))


@given(candidate=figures, holder=figures)
def test_refuses_exactly_when_the_interval_lies_below_the_holder(
    candidate: TransferFigure, holder: TransferFigure
) -> None:
    if candidate.high < holder.top1:
        with pytest.raises(StateError, match="promotion refused"):
            check_transfer(candidate, holder)
    else:
        check_transfer(candidate, holder)


@given(candidate=figures, holder=figures)
def test_figures_of_different_probes_do_not_compare(
    candidate: TransferFigure, holder: TransferFigure
) -> None:
    check_transfer(candidate, replace(holder, probe="q"))
    check_transfer(candidate, None)
    check_transfer(None, holder)


def test_the_refusal_gives_both_figures() -> None:
    with pytest.raises(StateError) as refusal:
        check_transfer(figure(0.10, 0.1234, 0.15), figure(0.28, 0.3001, 0.32))
    for number in ("0.1234", "0.1000", "0.1500", "0.3001", "0.2800", "0.3200"):
        assert number in str(refusal.value)


@pytest.mark.parametrize("key", LINEAGE_KEYS)
@pytest.mark.parametrize("value", [None, "", "unknown"])
def test_unknown_lineage_is_refused_by_name(
    tiny_package: ModelPackage, key: str, value: str | None
) -> None:
    with pytest.raises(StateError, match=f"{key} unknown"):
        check_lineage(replace(tiny_package, lineage=tiny_package.lineage | {key: value}))


def test_complete_lineage_passes(tiny_package: ModelPackage) -> None:
    check_lineage(tiny_package)


@given(found=figures)
def test_a_figure_survives_as_tags_of_a_version(found: TransferFigure) -> None:
    assert TransferFigure.from_tags(found.tags() | {"fingerprint": "f"}) == found
    assert TransferFigure.from_tags({"fingerprint": "f"}) is None


def test_reads_a_transfer_result(tmp_path: Path) -> None:
    values = {"model": "m", "probe": "p", "top1": 0.3, "low": 0.2, "high": 0.4}
    Folder.at(tmp_path).write_json("result.json", {"settings": {}, "transfer": values})
    assert TransferFigure.read(str(tmp_path)) == figure(0.2, 0.3, 0.4)


@pytest.mark.parametrize("content", [None, "{", "{}", '{"transfer": {"top1": "x"}}', "[]"])
def test_a_folder_without_a_result_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(DataError, match=r"expected the finished --out of jobs\.transfer"):
        TransferFigure.read(str(tmp_path))


def test_an_impossible_interval_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"transfer\.top1"):
        figure(0.5, 0.4, 0.6)
