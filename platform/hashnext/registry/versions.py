"""Registered models: package to version, alias to version, `models:/` address to a local folder.

Every version is a model package and carries its fingerprints and transfer figure as tags.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from hashnext import settings
from hashnext.errors import ConfigError, StateError
from hashnext.registry import gates, store
from hashnext.registry.gates import TransferFigure
from hashnext.registry.package import CHECKSUMS, ModelPackage

EXPERIMENT = "registry"
ARTIFACT = "package"
FINGERPRINT = "fingerprint"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
ALIAS = r"(?!(?:latest|[vV][0-9]+)$)[A-Za-z_-][A-Za-z0-9_-]{0,127}"
ADDRESS = re.compile(rf"models:/(?P<name>{NAME})(?:@(?P<alias>{ALIAS})|/(?P<version>[0-9]+))")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a registered model."""

    name: str
    version: str
    created: bool
    """False when the same package had been registered before."""


def register(package: ModelPackage, name: str, figure: TransferFigure | None = None) -> Registered:
    """Make the package a version of `name`, or find the version that it already is.

    Args:
        package: an opened package; its files are copied into MLflow's artifacts.
        name: registered model, made when missing.
        figure: transfer figure of this very package, kept as tags of the version.

    Raises:
        ConfigError: the name has other characters than letters, digits, `.`, `_` and `-`.
        StateError: the figure is another model's, or the store cannot be reached.
    """
    if not re.fullmatch(NAME, name):
        raise ConfigError("name", name, "letters, digits, '.', '_' and '-'; at most 128")
    if figure and figure.model != package.fingerprint:
        raise StateError(
            f"transfer result of model {figure.model}, but the package is {package.fingerprint}"
        )
    uri = settings.tracking_uri()
    client = store.connect(uri)
    with store.refusals_named(uri):
        found = _same_package(client, name, package.fingerprint)
        version = str((found or _create(client, package, name)).version)
        for key, value in (figure.tags() if figure else {}).items():
            client.set_model_version_tag(name, version, key, value)
    return Registered(name=name, version=version, created=found is None)


def promote(name: str, alias: str, version: str) -> str | None:
    """Move the alias to the version if every gate lets it; returns the version it held before.

    Raises:
        ConfigError: the alias is not a word, or one that MLflow keeps for itself.
        DataError: the version's package does not open or verify.
        StateError: a gate refuses, with the figures; the alias has not moved.
    """
    check_alias(alias)
    gates.check_lineage(ModelPackage.open(f"models:/{name}/{version}"))
    uri = settings.tracking_uri()
    client = store.connect(uri)
    with store.refusals_named(uri):
        held = _model(client, name).aliases.get(alias)
        if held is not None:
            gates.check_transfer(_figure(client, name, version), _figure(client, name, str(held)))
        client.set_registered_model_alias(name, alias, version)
    return None if held is None else str(held)


def check_alias(alias: str) -> None:
    """Raises ConfigError unless the alias is a word that MLflow does not keep for itself."""
    if not re.fullmatch(ALIAS, alias):
        raise ConfigError("alias", alias, "a word of letters, digits, '_', '-'; not latest or v1")


def resolve(address: str) -> Path:
    """Local folder of the package at `models:/name@alias` or `models:/name/3`.

    Artifacts that are not on this machine are fetched once, into HASHNEXT_HOME.

    Raises:
        StateError: no such model, alias or version, or the store cannot be reached.
    """
    uri = settings.tracking_uri()
    client = store.connect(uri)
    with store.refusals_named(uri):
        found = _find(client, address)
        source = str(found.source)
        if source.startswith(("/", "file:")):
            return Path(download_artifacts(source, tracking_uri=uri))
        fingerprint = found.tags.get(FINGERPRINT)
        if fingerprint is None:
            raise StateError(f"{address}: not registered by jobs.register; no {FINGERPRINT} tag")
        return _fetched(source, settings.home() / "models" / fingerprint, uri)


def pinned(address: str) -> str:
    """The address with its alias replaced by the version that it means now. Raises StateError."""
    uri = settings.tracking_uri()
    client = store.connect(uri)
    with store.refusals_named(uri):
        found = _find(client, address)
    return f"models:/{found.name}/{found.version}"


def _find(client: MlflowClient, address: str) -> ModelVersion:
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigError("model", address, "expected models:/NAME@ALIAS or models:/NAME/VERSION")
    model = _model(client, match["name"])
    version = match["version"] or model.aliases.get(match["alias"])
    if version is None:
        known = ", ".join(sorted(model.aliases)) or "none"
        raise StateError(f"{address}: no such alias; {match['name']} has: {known}")
    try:
        return client.get_model_version(match["name"], str(version))
    except MlflowException as error:
        versions = client.search_model_versions(f"name='{match['name']}'")
        known = ", ".join(sorted((str(v.version) for v in versions), key=int)) or "none"
        raise StateError(f"{address}: no such version; {match['name']} has: {known}") from error


def _model(client: MlflowClient, name: str) -> RegisteredModel:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise StateError(f"no registered model {name!r}; there are: {known}") from error


def _same_package(client: MlflowClient, name: str, fingerprint: str) -> ModelVersion | None:
    wanted = f"name='{name}' and tag.{FINGERPRINT}='{fingerprint}'"
    return next(iter(client.search_model_versions(wanted, max_results=1)), None)


def _create(client: MlflowClient, package: ModelPackage, name: str) -> ModelVersion:
    tags = {FINGERPRINT: package.fingerprint} | {
        key: str(package.lineage.get(key)) for key in gates.LINEAGE_KEYS
    }
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    run = store.RunLogger()
    run_id = run.open(EXPERIMENT, name, package.lineage, tags)
    with _on_disk(package) as path:
        run.artifacts(path, ARTIFACT)
    run.finish()
    source = f"{client.get_run(run_id).info.artifact_uri}/{ARTIFACT}"
    return client.create_model_version(name, source, run_id, tags)


@contextmanager
def _on_disk(package: ModelPackage) -> Iterator[Path]:
    if package.folder.is_local:
        yield Path(package.folder.path)
        return
    with tempfile.TemporaryDirectory() as path:
        pyarrow.fs.copy_files(
            package.folder.path, path, source_filesystem=package.folder.filesystem
        )
        yield Path(path)


def _fetched(source: str, folder: Path, tracking_uri: str) -> Path:
    if not (folder / CHECKSUMS).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
            fetched = download_artifacts(source, dst_path=aside, tracking_uri=tracking_uri)
            try:
                Path(fetched).rename(folder)
            except OSError:  # another replica on this machine was faster
                if not (folder / CHECKSUMS).is_file():
                    raise
    return folder


def _figure(client: MlflowClient, name: str, version: str) -> TransferFigure | None:
    return TransferFigure.from_tags(client.get_model_version(name, version).tags)
