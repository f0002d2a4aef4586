"""Weights to start from, or to measure: published ones, or those of a model package.

    weights = read_weights("ig_resnext101_32x8-c38310e5.pth")
    network = network_of(weights)                      # with the weights' own head
    load_into(other_network, weights, head=False)      # the trunk alone

They are read from a file, a URI, a web address or a package, and come with where they are from and
under which licence they were published, for the lineage of what is trained from them.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pyarrow import fs
from torch import Tensor

from hashnext.errors import DataError
from hashnext.models.resnext import ResNeXt, ResNeXtConfig, build
from hashnext.models.state_dict import HEAD, described, plain
from hashnext.models.weights_file import WEB, fetch
from hashnext.registry.lineage import INITIAL_WEIGHTS, seen_datasets
from hashnext.registry.package import REGISTRY_SCHEME, ModelPackage
from hashnext.storage import locate

NON_COMMERCIAL = "CC-BY-NC-4.0"
_NON_COMMERCIAL = re.compile(
    r"ig_resnext101_32x|semi_(weakly_)?supervised_resnext|\.fb_(wsl|swsl|ssl)_"
)
"""Names of the weights that Facebook released under CC-BY-NC 4.0: facebookresearch/WSL-Images and
semi-supervised-ImageNet1K-models, and timm's copies of both."""
WSL_HASHES = ("c38310e5", "c6f796b0", "e4b90b00", "3e41cc8a")
"""First digits of the SHA-256 of ig_resnext101_32x8, 32x16, 32x32 and 32x48, in their names."""
SHOWN = 8
"""Names of parameters that a message lists; `LoadReport.document` has all of them."""


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """Weights of a ResNeXt, and where they are from."""

    state: dict[str, Tensor]
    """float32 on the CPU, by torchvision's parameter names."""
    config: ResNeXtConfig
    """Shape of their network."""
    num_labels: int | None
    """Outputs of their head `fc`; None where they have none."""
    source: str
    """Location that they were read from, without the query of a web address."""
    sha256: str
    """Of the file, or the fingerprint of the package."""
    licence: str | None
    """SPDX name of the licence they were published under, where it is known."""
    lineage: dict[str, Any]
    """Of the package; empty for a file. `vocabulary` tells what the outputs of its head mean."""

    @property
    def origin(self) -> dict[str, Any]:
        """What the lineage of a model trained from them has to say: source, sha256, licence, and of
        a package the fingerprints of the shards that it and its own parents have seen."""
        datasets = seen_datasets(self.lineage)
        return {
            "source": self.source, "sha256": self.sha256, "licence": self.licence,
            **({"datasets": datasets} if datasets else {}),
        }  # fmt: skip


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


def read_weights(location: str) -> InitialWeights:
    """Read weights.

    Args:
        location: a file (`.safetensors`, or PyTorch's `.pth`) at a path, a URI of `pyarrow.fs` or
            a web address; or a model package: its folder, its URI or models:/NAME@ALIAS.

    Raises:
        DataError: nothing is there, it holds other objects than tensors, its hash is not that in
            its name, or it is not of a ResNeXt.
        ConfigError: the URI is none that pyarrow can open.
        StateError: the registry knows no such model.
    """
    if location.startswith(REGISTRY_SCHEME) or _is_folder(location):
        return _of_package(ModelPackage.open(location), location)
    file = fetch(location)
    loaded = file.read()
    try:
        state = plain(loaded)
        config, num_labels = described(state)
    except DataError as error:
        raise DataError(f"{location}: {error}") from error
    return InitialWeights(
        state=state, config=config, num_labels=num_labels,
        source=location.partition("?")[0] if location.startswith(WEB) else location,
        sha256=file.sha256, licence=_licence(location, file.sha256), lineage={},
    )  # fmt: skip


def load_into(network: ResNeXt, weights: InitialWeights, head: bool) -> LoadReport:
    """Load weights into a network; one on the meta device takes over their tensors.

    Args:
        network: its parameters are overwritten.
        weights: what to load.
        head: load the label head `fc` too, which then has to fit. Otherwise it keeps its initial
            values, even where it has as many outputs: they may stand for other labels.

    Raises:
        DoesNotFit: the trunk does not fit, or a head that was asked for; nothing has been loaded.
    """
    wanted = network.state_dict()
    report = _compare(weights, wanted, head)
    if faults := report.faults():
        told = f"{weights.source}: does not fit this network: {'; '.join(faults)}"
        raise DoesNotFit(told, report)
    chosen = {name: weights.state[name] for name in report.loaded}
    on_meta = any(wanted[name].is_meta for name in report.loaded)
    assert head or not on_meta, "the head of a network on the meta device has no initial values"
    network.load_state_dict(chosen, strict=False, assign=on_meta)
    return report


def network_of(weights: InitialWeights) -> ResNeXt:
    """The network that the weights are of, with their own head, in eval mode on the CPU.

    It shares its tensors with the weights.

    Raises:
        DataError: they have no head, or are of a network that is built otherwise.
    """
    if weights.num_labels is None:
        raise DataError(f"{weights.source}: has no label head ({HEAD[0]})")
    with torch.device("meta"):
        network = build(weights.config, weights.num_labels)
    load_into(network, weights, head=True)
    network.eval()
    return network


def _is_folder(location: str) -> bool:
    if location.startswith(WEB):
        return False
    filesystem, path = locate(location)
    try:
        return bool(filesystem.get_file_info(path.rstrip("/")).type == fs.FileType.Directory)
    except OSError as error:
        raise DataError(f"{location}: {error}") from error


def _of_package(package: ModelPackage, location: str) -> InitialWeights:
    origin = package.lineage.get(INITIAL_WEIGHTS) or {}
    return InitialWeights(
        state=dict(package.build().state_dict()), config=package.config,
        num_labels=package.vocabulary.num_labels, source=location, sha256=package.fingerprint,
        licence=origin.get("licence"), lineage=package.lineage,
    )  # fmt: skip


def _licence(location: str, sha256: str) -> str | None:
    known = _NON_COMMERCIAL.search(location) or sha256.startswith(WSL_HASHES)
    return NON_COMMERCIAL if known else None


def _compare(weights: InitialWeights, wanted: Mapping[str, Tensor], head: bool) -> LoadReport:
    given = weights.state
    shared = [name for name in wanted if name in given]
    wrong = [name for name in shared if given[name].shape != wanted[name].shape]
    return LoadReport(
        origin=weights.origin,
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
