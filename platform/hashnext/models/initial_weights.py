"""Weights to start from, or to measure: published ones, or those of a model package.

    weights = read_weights("ig_resnext101_32x8-c38310e5.pth")
    network = network_of(weights)                      # with the weights' own head
    load_into(other_network, weights, head=False)      # the trunk alone

They are read from a file, a URI, a web address or a package, and come with where they are from and
under which licence they were published, for the lineage of what is trained from them.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from pyarrow import fs
from torch import Tensor

from hashnext.errors import DataError
from hashnext.models.load_report import DoesNotFit, LoadReport, compare
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
    def outputs(self) -> int:
        """Outputs of their label head.

        Raises:
            DataError: they have none.
        """
        if self.num_labels is None:
            raise DataError(f"{self.source}: has no label head ({HEAD[0]})")
        return self.num_labels

    @property
    def origin(self) -> dict[str, Any]:
        """What the lineage of a model trained from them has to say: source, sha256, licence, and of
        a package the fingerprints of the shards that it and its own parents have seen."""
        datasets = seen_datasets(self.lineage)
        return {
            "source": self.source, "sha256": self.sha256, "licence": self.licence,
            **({"datasets": datasets} if datasets else {}),
        }  # fmt: skip


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
    report = compare(weights.state, wanted, head, weights.origin)
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
    with torch.device("meta"):
        network = build(weights.config, weights.outputs)
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
