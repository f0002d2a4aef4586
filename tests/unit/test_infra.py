"""Everything that infra/ points at exists: modules, import paths, options, mounts, versions."""

import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_lines import parse

REPO = Path(__file__).resolve().parents[2]
INFRA = REPO / "infra"
MANIFESTS = ("raycluster", "rayjob", "rayservice")


@cache
def documents(file: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(file.read_text()))


def manifest(name: str) -> dict[str, Any]:
    """The Ray resource of one of the manifests."""
    (resource,) = documents(INFRA / "kuberay" / f"{name}.yaml")
    return resource


def cluster_spec(name: str) -> dict[str, Any]:
    """The RayCluster inside a manifest."""
    spec: dict[str, Any] = manifest(name)["spec"]
    return spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec


def pods(name: str) -> Iterator[dict[str, Any]]:
    """The pod of the head and of each group of workers."""
    spec = cluster_spec(name)
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        yield group["template"]["spec"]


def compose() -> dict[str, Any]:
    """The services of compose.yaml."""
    (whole,) = documents(INFRA / "compose.yaml")
    return dict(whole["services"])


def test_every_yaml_file_parses() -> None:
    files = sorted(INFRA.rglob("*.yaml"))
    assert {file.stem for file in files} >= {*MANIFESTS, "settings", "compose"}
    for file in files:
        assert all(documents(file)), file


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_is_of_its_kind_and_runs_our_ray(name: str) -> None:
    assert manifest(name)["apiVersion"] == "ray.io/v1"
    assert manifest(name)["kind"].lower() == name
    assert cluster_spec(name)["rayVersion"] == version("ray")
    assert cluster_spec(name)["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_mount_the_shared_volume_and_read_the_settings(name: str) -> None:
    shared = documents(INFRA / "kuberay" / "settings.yaml")
    names = {document["kind"]: document["metadata"]["name"] for document in shared}
    for pod in pods(name):
        (volume,), (container,) = pod["volumes"], pod["containers"]
        assert volume["persistentVolumeClaim"]["claimName"] == names["PersistentVolumeClaim"]
        assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/data"}]
        assert container["envFrom"] == [{"configMapRef": {"name": names["ConfigMap"]}}]
        assert pod["securityContext"] == {"fsGroup": 1000}, "the image's user may write there"
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert container["env"] == [
            {
                "name": "HASHNEXT_CORES",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}},
            }
        ]


def test_rayjob_runs_a_pretraining_that_its_job_accepts() -> None:
    words = shlex.split(manifest("rayjob")["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "jobs.pretrain"]
    parse(words)


def test_rayjob_has_a_gpu_for_each_training_worker() -> None:
    words = shlex.split(manifest("rayjob")["spec"]["entrypoint"])
    workers = int(words[words.index("--workers.num-workers") + 1])
    gpus = sum(
        group.get("replicas", 0)
        * int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])
        for group in cluster_spec("rayjob")["workerGroupSpecs"]
        if group["groupName"] == "gpu"
    )
    assert gpus == workers


def test_rayservice_builds_an_application_with_its_arguments() -> None:
    from ray.serve.schema import ServeDeploySchema

    config = yaml.safe_load(manifest("rayservice")["spec"]["serveConfigV2"])
    (application,) = ServeDeploySchema.model_validate(config).applications
    module, attribute = application.import_path.split(":")
    build = getattr(importlib.import_module(module), attribute)
    (arguments,) = (kind for name, kind in build.__annotations__.items() if name != "return")
    arguments.model_validate(application.args)


@pytest.mark.parametrize("service", ["mlflow", "ray", "serve"])
def test_compose_command_is_accepted(service: str) -> None:
    parse(shlex.split(compose()[service]["command"]))


def test_compose_publishes_on_loopback_only() -> None:
    ports = [port for service in compose().values() for port in service["ports"]]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_image_copies_what_exists_and_starts_a_program() -> None:
    text = (INFRA / "docker" / "Dockerfile").read_text()
    for line in re.findall(r"^COPY --chown=hashnext (.+)$", text, flags=re.MULTILINE):
        *sources, _ = line.split()
        assert all((REPO / source).exists() for source in sources), line
        ignored = (REPO / ".dockerignore").read_text().split()
        assert all(f"!{source}" in ignored for source in sources), "the builder would not see it"
    (start,) = re.findall(r"^CMD (.+)$", text, flags=re.MULTILINE)
    parse(yaml.safe_load(start))
    assert "--uid 1000 hashnext" in text
    assert re.search(r"^USER hashnext$", text, flags=re.MULTILINE)
