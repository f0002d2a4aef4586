"""What became of each parameter when weights were loaded into a network, and what did not fit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from hashnext.errors import DataError
from hashnext.models.state_dict import HEAD
from hashnext.storage import Folder

LOAD_REPORT = "initial_weights.json"
SHOWN = 8
"""Names of parameters that a message lists; `LoadReport.document` has all of them."""


@dataclass(frozen=True, kw_only=True)
class WrongShape:
    """A parameter that the weights have in another shape."""

    name: str
    found: tuple[int, ...]
    """In the weights."""
    wanted: tuple[int, ...]
    """In the network."""


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What became of each parameter when weights were loaded into a network."""

    origin: dict[str, Any]
    """As `InitialWeights.origin`."""
    head: bool
    """Whether the label head was loaded; if not, it keeps its initial values."""
    loaded: tuple[str, ...]
    """Names of the parameters and buffers that were loaded."""
    missing: tuple[str, ...]
    """Names that the network has and the weights have not."""
    unexpected: tuple[str, ...]
    """Names that the weights have and the network has not."""
    wrong_shape: tuple[WrongShape, ...]

    def figures(self) -> dict[str, Any]:
        """What to print, and to keep with the run."""
        return {
            **self.origin,
            "licence": self.origin["licence"] or "unknown",
            "tensors_loaded": len(self.loaded),
            "head": "loaded" if self.head else f"initial values ({self._head()})",
        }

    def document(self) -> dict[str, Any]:
        """Every name, for a file."""
        return {
            **self.origin,
            "loaded": list(self.loaded),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "wrong_shape": [asdict(each) for each in self.wrong_shape],
        }

    def faults(self) -> list[str]:
        """What does not fit, in words; that of a head that was not asked for is none."""
        shapes = [
            f"{each.name} {each.found}, the network wants {each.wanted}"
            for each in self.wrong_shape
            if self.head or each.name not in HEAD
        ]
        missing, unexpected = (
            [name for name in names if self.head or name not in HEAD]
            for names in (self.missing, self.unexpected)
        )
        told = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        return [f"{len(names)} {what}: {_some(names)}" for what, names in told if names]

    def _head(self) -> str:
        for each in self.wrong_shape:
            if each.name == HEAD[0]:
                (labels, width), (outputs, inputs) = each.found, each.wanted
                if labels != outputs:
                    return f"the weights have {labels:,} outputs, not {outputs:,}"
                return f"the weights' has {width:,} inputs, not {inputs:,}"
        return "the weights have none" if HEAD[0] in self.missing else "not asked for"


class DoesNotFit(DataError):  # noqa: N818 - what is wrong, with the whole report
    """Weights and network differ; the message tells the first names that are missing, unexpected or
    of another shape.

    Attributes:
        report: all of them.
    """

    def __init__(self, message: str, report: LoadReport) -> None:
        super().__init__(message)
        self.report = report


@contextmanager
def listed(out: Folder) -> Iterator[None]:
    """Have a file name every parameter by which weights do not fit.

    Raises:
        DataError: they do not; it names the file.
    """
    try:
        yield
    except DoesNotFit as error:
        out.write_json(LOAD_REPORT, error.report.document())
        raise DataError(f"{error}; all of them in {out.location_of(LOAD_REPORT)}") from error


def compare(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], head: bool, origin: dict[str, Any]
) -> LoadReport:
    """What will become of each parameter when `given` is loaded into `wanted`; see `LoadReport`."""
    shared = [name for name in wanted if name in given]
    wrong = [name for name in shared if given[name].shape != wanted[name].shape]
    return LoadReport(
        origin=origin,
        head=head,
        loaded=tuple(n for n in shared if n not in wrong and (head or n not in HEAD)),
        missing=tuple(name for name in wanted if name not in given),
        unexpected=tuple(name for name in given if name not in wanted),
        wrong_shape=tuple(
            WrongShape(name=n, found=tuple(given[n].shape), wanted=tuple(wanted[n].shape))
            for n in wrong
        ),
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
