"""A model package: a folder with all that is needed to tag a photo, and proof that it is whole.

    model.safetensors   weights, torchvision's parameter names
    config.json         shape of the network
    preprocess.json     how an image becomes the network's input
    calibration.json    temperature, thresholds of labels, and how well both do
    lineage.json        data, vocabulary and commit that it came from
    vocabulary/         labels and the published decisions
    checksums.json      SHA-256 of each of the above; written last

Nothing in it is pickled, so opening a package from a registry runs no code from it.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor

from hashnext import settings
from hashnext.errors import ConfigError, DataError, HashNextError
from hashnext.hashtags.vocabulary import Vocabulary
from hashnext.models.activation import ACTIVATIONS
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt, ResNeXtConfig, build
from hashnext.storage import Folder

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PREPROCESS = "preprocess.json"
CALIBRATION = "calibration.json"
LINEAGE = "lineage.json"
CHECKSUMS = "checksums.json"
VOCABULARY = "vocabulary"
VOCABULARY_FILES = ("labels.parquet", "decisions.parquet", "vocabulary.json")
FILES = (
    WEIGHTS, CONFIG, PREPROCESS, CALIBRATION, LINEAGE,
    *(f"{VOCABULARY}/{name}" for name in VOCABULARY_FILES),
)  # fmt: skip

REGISTRY_SCHEME = "models:/"
HASH_CHUNK = 8 << 20


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """An opened package; its checksums have been verified."""

    folder: Folder
    fingerprint: str
    """SHA-256 over the checksums of all files: the same for the same contents, anywhere."""
    config: ResNeXtConfig
    preprocess: Preprocess
    vocabulary: Vocabulary
    calibration: dict[str, Any]
    """`temperature`: the logits are divided by it before the `activation`, a softmax where there is
    none. Of a model with held-out posts also `thresholds`, a probability or null for each label,
    from which on it is right with `precision`; `checked`, how they do on other posts;
    `reliability`, bins of confidence before and after."""
    lineage: dict[str, Any]
    """`dataset` and `vocabulary` fingerprints, `git_commit`, `parent`, and what else was given."""

    @classmethod
    def open(cls, location: str) -> "ModelPackage":
        """Open a package at a local path, a URI, or `models:/name@alias` in the registry.

        Raises:
            DataError: there is no package, or a file is missing or differs from its checksum.
            StateError: the registry cannot be reached or knows no such model.
        """
        if location.startswith(REGISTRY_SCHEME):
            # MLflow takes seconds to import, and most callers name a folder.
            from hashnext.registry import versions

            location = str(versions.resolve(location))
        folder = Folder.at(location)
        fingerprint = _verify(folder)
        try:
            return _read(folder, fingerprint)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, HashNextError):
                raise
            raise DataError(
                f"{folder.location}: not a package this version reads: {error}"
            ) from error

    @property
    def labels(self) -> pa.Table:
        """`labels.parquet`: row i names output i of the network."""
        return self.vocabulary.labels

    @property
    def decisions(self) -> pa.Table:
        """`decisions.parquet`: what became of each published hashtag."""
        return self.vocabulary.decisions

    def build(self) -> ResNeXt:
        """The network with its weights, in eval mode, on the CPU.

        Raises:
            DataError: the weights do not fit the configuration.
        """
        with torch.device("meta"):
            model = build(self.config, self.vocabulary.num_labels)
        try:
            if self.folder.is_local:
                weights = load_file(self.folder.file(WEIGHTS))
            else:
                weights = load(self.folder.read_bytes(WEIGHTS))
            model.load_state_dict(weights, assign=True)
        except (SafetensorError, RuntimeError) as error:
            raise DataError(
                f"{self.folder.location_of(WEIGHTS)}: does not fit {CONFIG}: {error}"
            ) from error
        model.eval()
        return model


def write_package(
    folder: Folder,
    *,
    state_dict: Mapping[str, Tensor],
    config: ResNeXtConfig,
    vocabulary: Vocabulary,
    preprocess: Preprocess,
    calibration: Mapping[str, Any],
    lineage: Mapping[str, Any],
) -> ModelPackage:
    """Write a package, checksums last, and open it again.

    Args:
        folder: where to; files of an earlier package are overwritten.
        state_dict: weights of `build(config, vocabulary.num_labels)`.
        config: shape of the network.
        vocabulary: the training vocabulary; the tags of rare posts are left out of the package.
        preprocess: input size and normalisation of the evaluation.
        calibration: `{"temperature": float}`, and what else `ModelPackage.calibration` tells.
        lineage: `dataset` and `parent` fingerprints and anything else worth keeping; the
            vocabulary's fingerprint and the git commit are filled in unless given.

    Raises:
        ConfigError: the temperature is not a positive number, or there is not one threshold, a
            probability or None, for each label.
    """
    _check_calibration(calibration, vocabulary.num_labels)
    if folder.has(CHECKSUMS):
        folder.delete(CHECKSUMS)
    origin = {
        "dataset": None,
        "vocabulary": vocabulary.fingerprint,
        "git_commit": settings.git_commit(),
        "parent": None,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    folder.write_bytes(WEIGHTS, save(weights))
    folder.write_json(CONFIG, asdict(config))
    folder.write_json(PREPROCESS, asdict(preprocess))
    folder.write_json(CALIBRATION, dict(calibration))
    folder.write_json(LINEAGE, origin | dict(lineage))
    vocabulary.published().save(folder.folder(VOCABULARY))
    folder.write_json(CHECKSUMS, {name: _sha256(folder, name) for name in FILES})
    return ModelPackage.open(folder.location)


def _read(folder: Folder, fingerprint: str) -> ModelPackage:
    config = folder.read_json(CONFIG)
    preprocess = folder.read_json(PREPROCESS)
    calibration = folder.read_json(CALIBRATION)
    vocabulary = Vocabulary.load(folder.folder(VOCABULARY))
    _check_calibration(calibration, vocabulary.num_labels)
    return ModelPackage(
        folder=folder,
        fingerprint=fingerprint,
        config=ResNeXtConfig(**config | {"blocks": tuple(config["blocks"])}),
        preprocess=Preprocess(
            **preprocess | {key: tuple(preprocess[key]) for key in ("mean", "std")}
        ),
        vocabulary=vocabulary,
        calibration=calibration,
        lineage=folder.read_json(LINEAGE),
    )


def _verify(folder: Folder) -> str:
    if not folder.has(CHECKSUMS):
        raise DataError(
            f"{folder.location}: not a model package; expected a folder with {CHECKSUMS}, "
            f"{', '.join(FILES)}"
        )
    try:
        expected = dict(folder.read_json(CHECKSUMS))
    except (TypeError, ValueError) as error:
        raise DataError(f"{folder.location_of(CHECKSUMS)}: corrupted: {error}") from error
    for name in FILES:
        try:
            found = _sha256(folder, name)
        except FileNotFoundError as error:
            raise DataError(
                f"{folder.location_of(name)}: missing from the model package"
            ) from error
        if found != expected.get(name):
            raise DataError(
                f"{folder.location_of(name)}: corrupted: SHA-256 {found}, "
                f"{CHECKSUMS} says {expected.get(name)}"
            )
    return hashlib.sha256(json.dumps(expected, sort_keys=True).encode()).hexdigest()


def _sha256(folder: Folder, name: str) -> str:
    digest = hashlib.sha256()
    with folder.filesystem.open_input_stream(folder.file(name), compression=None) as stream:
        while chunk := stream.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_calibration(calibration: Mapping[str, Any], num_labels: int) -> None:
    temperature = calibration.get("temperature")
    if not isinstance(temperature, float | int) or not 0 < temperature < math.inf:
        raise ConfigError("calibration.temperature", temperature, "must be a number above 0")
    activation = calibration.get("activation", "softmax")  # packages from before sigmoids say none
    if activation not in ACTIVATIONS:
        raise ConfigError(
            "calibration.activation", activation, f"must be {' or '.join(ACTIVATIONS)}"
        )
    thresholds = calibration.get("thresholds")
    if thresholds is None:  # there were no held-out posts, or nobody knew of thresholds then
        return
    if not isinstance(thresholds, list) or len(thresholds) != num_labels:
        count = len(thresholds) if isinstance(thresholds, list) else thresholds
        raise ConfigError("calibration.thresholds", count, f"must be a list of {num_labels}")
    for label, value in enumerate(thresholds):
        if value is not None and not (isinstance(value, float | int) and 0 <= value <= 1):
            raise ConfigError(
                f"calibration.thresholds[{label}]", value, "must be a probability or null"
            )
