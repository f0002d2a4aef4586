"""The MLflow store: runs, registered versions, aliases and addresses, in real SQLite."""

import os
import pickle
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from hashnext import settings
from hashnext.errors import ConfigError, StateError
from hashnext.registry import store, versions
from hashnext.registry.gates import TransferFigure
from hashnext.registry.package import ModelPackage, write_package
from hashnext.storage import Folder
from jobs.register import Register, main


@pytest.fixture(scope="module")
def other_package(
    tiny_package: ModelPackage, tmp_path_factory: pytest.TempPathFactory
) -> ModelPackage:
    """The same network at another temperature, hence another fingerprint."""
    return _rewritten(tiny_package, tmp_path_factory.mktemp("other"), tiny_package.lineage)


@pytest.fixture
def client() -> MlflowClient:
    return store.connect(settings.tracking_uri())


def figure(package: ModelPackage, top1: float, probe: str = "p") -> TransferFigure:
    return TransferFigure(
        model=package.fingerprint, probe=probe, top1=top1, low=top1 - 0.01, high=top1 + 0.01
    )


def test_a_run_keeps_parameters_curves_and_artifacts(client: MlflowClient, tmp_path: Path) -> None:
    log = store.RunLogger()
    many = {f"p{i}": i for i in range(150)}
    run_id = log.open("pretrain", "nano", {"model": {"groups": 8}, "long": "x" * 9000, **many}, {})
    log.log({"precision@1": 0.25, "loss": 3.0}, step=10)
    log.log({"precision@1": 0.5, "loss": 2.0}, step=20)
    (tmp_path / "report.txt").write_text("hello")
    log.artifacts(tmp_path / "report.txt")
    log.artifacts(tmp_path, "folder")
    log.tag({"dataset": "d"})
    log.finish()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.groups"] == "8"
    assert len(run.data.params) == 152
    assert run.data.tags["dataset"] == "d"
    curve = client.get_metric_history(run_id, "precision_at_1")
    assert [(point.step, point.value) for point in curve] == [(10, 0.25), (20, 0.5)]
    assert (
        Path(client.download_artifacts(run_id, "folder/report.txt")).read_text()
        == Path(client.download_artifacts(run_id, "report.txt")).read_text()
        == "hello"
    )


def test_artifacts_of_a_local_store_lie_in_the_home_folder(
    client: MlflowClient, home: Path
) -> None:
    run_id = store.RunLogger().open("placed", "run", {}, {})
    assert client.get_run(run_id).info.artifact_uri.startswith((home / "mlartifacts").as_uri())


def test_a_pickled_logger_writes_to_the_same_run_from_anywhere(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = store.RunLogger()
    run_id = log.open("pretrain", "moved", {}, {})
    data = pickle.dumps(log)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASHNEXT_HOME", str(tmp_path / "elsewhere"))
    moved = pickle.loads(data)
    moved.log({"loss": 1.5}, step=1)
    moved.finish("FAILED")
    run = client.get_run(run_id)
    assert run.data.metrics == {"loss": 1.5}
    assert run.info.status == "FAILED"


def test_registering_again_finds_the_version(
    tiny_package: ModelPackage, other_package: ModelPackage
) -> None:
    first = versions.register(tiny_package, "twice")
    again = versions.register(tiny_package, "twice")
    other = versions.register(other_package, "twice")
    assert (first.version, first.created) == ("1", True)
    assert (again.version, again.created) == ("1", False)
    assert (other.version, other.created) == ("2", True)
    for version, package in (("1", tiny_package), ("2", other_package)):
        assert ModelPackage.open(f"models:/twice/{version}").fingerprint == package.fingerprint


def test_the_job_registers_promotes_and_is_found_by_alias(
    tiny_package: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = figure(tiny_package, 0.4)
    result = {"transfer": {k.removeprefix("transfer."): v for k, v in found.tags().items()}}
    Folder.at(tmp_path).write_json("result.json", result)
    job = Register(
        model=tiny_package.folder.path, name="road", alias="champion", transfer=str(tmp_path)
    )
    assert main(job)["alias held before"] == "nothing"
    assert main(job)["alias held before"] == "1"
    assert ModelPackage.open("models:/road@champion").fingerprint == tiny_package.fingerprint
    assert versions.pinned("models:/road@champion") == "models:/road/1"
    assert "models:/road/1" in capsys.readouterr().out


def test_the_alias_stays_when_the_candidate_is_worse(
    tiny_package: ModelPackage, other_package: ModelPackage
) -> None:
    versions.register(tiny_package, "gated", figure(tiny_package, 0.4))
    versions.register(other_package, "gated", figure(other_package, 0.3))
    assert versions.promote("gated", "champion", "1") is None
    with pytest.raises(StateError, match=r"0\.3000 .* is below the present holder's 0\.4000"):
        versions.promote("gated", "champion", "2")
    assert versions.pinned("models:/gated@champion") == "models:/gated/1"
    versions.register(other_package, "gated", figure(other_package, 0.395))
    assert versions.promote("gated", "champion", "2") == "1"
    assert versions.pinned("models:/gated@champion") == "models:/gated/2"


def test_incomplete_lineage_is_not_promoted(tiny_package: ModelPackage, tmp_path: Path) -> None:
    package = _rewritten(tiny_package, tmp_path, {"dataset": None})
    versions.register(package, "orphan")
    with pytest.raises(StateError, match="dataset unknown"):
        versions.promote("orphan", "champion", "1")
    with pytest.raises(StateError, match="no such alias"):
        versions.pinned("models:/orphan@champion")


def test_a_damaged_version_is_not_promoted(tiny_package: ModelPackage) -> None:
    versions.register(tiny_package, "damaged")
    (versions.resolve("models:/damaged/1") / "model.safetensors").write_bytes(b"\0")
    with pytest.raises(ValueError, match=r"model\.safetensors: corrupted"):
        versions.promote("damaged", "champion", "1")


def test_a_figure_of_another_model_is_refused(
    tiny_package: ModelPackage, other_package: ModelPackage
) -> None:
    with pytest.raises(StateError, match="transfer result of model"):
        versions.register(tiny_package, "mixed", figure(other_package, 0.4))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("models:/nobody@champion", r"no registered model 'nobody'; there are: .*known"),
        ("models:/known@loser", "no such alias; known has: champion"),
        ("models:/known/7", "no such version; known has: 1"),
        ("models:/known", "expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/known@a/b", "expected models:/NAME@ALIAS"),
        ("models:/kn'own/1", "expected models:/NAME@ALIAS"),
    ],
)
def test_unknown_addresses_say_what_is_known(
    tiny_package: ModelPackage, address: str, message: str
) -> None:
    versions.register(tiny_package, "known")
    versions.promote("known", "champion", "1")
    with pytest.raises((StateError, ConfigError), match=message):
        ModelPackage.open(address)


@pytest.mark.parametrize("name", ["", "a b", "x'; drop", "../up", "a/b"])
def test_names_that_mlflow_could_not_address_are_refused(
    tiny_package: ModelPackage, name: str
) -> None:
    with pytest.raises(ConfigError, match="name ="):
        versions.register(tiny_package, name)


@pytest.mark.parametrize("alias", ["", "latest", "v1", "V22", "3", "a b"])
def test_aliases_that_mlflow_keeps_are_refused_before_any_work(alias: str) -> None:
    with pytest.raises(ConfigError, match="alias ="):
        Register(model="nowhere", name="n", alias=alias)


def test_a_server_that_does_not_answer_is_named_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:  # accepts connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
        monkeypatch.setattr(store, "REACHABLE_WITHIN_S", 0.5)
        started = time.monotonic()
        with pytest.raises(StateError, match="no answer within") as refusal:
            versions.resolve("models:/hashnext@champion")
    assert time.monotonic() - started < 5
    assert "secret" not in str(refusal.value)


@pytest.mark.slow
def test_a_team_server_takes_and_gives_packages(
    tiny_package: ModelPackage, server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    versions.register(tiny_package, "shared", figure(tiny_package, 0.4))
    versions.promote("shared", "champion", "1")
    folder = versions.resolve("models:/shared@champion")
    assert folder == home / "models" / tiny_package.fingerprint
    assert versions.resolve("models:/shared/1") == folder
    assert ModelPackage.open("models:/shared@champion").fingerprint == tiny_package.fingerprint


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow tracking server on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (
        f"{sys.executable} -m mlflow server --host 127.0.0.1 --port {port} --workers 1 "
        f"--backend-store-uri sqlite:///{tmp_path}/server.db "
        f"--artifacts-destination {tmp_path}/artifacts"
    )
    quiet = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(command.split(), env=quiet, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/health")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url: str, within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def _rewritten(package: ModelPackage, folder: Path, lineage: dict[str, object]) -> ModelPackage:
    return write_package(
        Folder.at(folder),
        state_dict=package.build().state_dict(),
        config=package.config,
        vocabulary=package.vocabulary,
        preprocess=replace(package.preprocess, crop_fraction=0.9),
        calibration=package.calibration,
        lineage=lineage,
    )
