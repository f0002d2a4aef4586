"""Serve a model over HTTP: POST /v1/tags, GET /healthz, /docs, and a page at / to try it.

Listens on loopback unless told otherwise; it asks nobody for a password, so put a proxy that does
in front of it before other machines can reach it. On a cluster, name `serve.app:build` as
import_path in a Serve config and give `model` in its args.
"""

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import cast

from pydantic import BaseModel, ConfigDict
from ray import serve as ray_serve
from ray.serve import Application, Deployment

from hashnext import cli, cluster
from hashnext.errors import ConfigError, StateError
from hashnext.registry.package import REGISTRY_SCHEME, ModelPackage
from hashnext.storage import absolute
from serve.tagger import Tagger

CHAMPION = "models:/hashnext@champion"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Serve:
    """What to serve, and where."""

    model: str = CHAMPION
    """Model package: a folder, a URI, or models:/NAME@ALIAS in the registry."""
    port: int = 8000
    """TCP port; 0 takes a free one."""
    host: str = LOOPBACK
    """Address to listen on; 0.0.0.0 lets other machines in."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ConfigError("port", self.port, "must be 0 to 65535")


class Arguments(BaseModel):
    """`args` of the application in a Serve config."""

    model_config = ConfigDict(extra="forbid")

    model: str = CHAMPION


def build(args: Arguments) -> Application:
    """The Serve application. Raises DataError or StateError when the model cannot be opened."""
    location, version = _locate(args.model)
    ModelPackage.open(location)  # a bad package is better refused here than in every replica
    # The decorators turn the class into a Deployment, which Ray's annotations do not say.
    deployment = cast(Deployment, Tagger)
    return deployment.bind(model=args.model, location=location, version=version)


@contextmanager
def running(model: str, port: int = 8000, host: str = LOOPBACK) -> Iterator[str]:
    """Have the endpoint up for the time of the block.

    Args:
        model: folder, URI or `models:/` address of a package.
        port: 0 takes a free one.
        host: address to listen on.

    Yields:
        the endpoint's URL, once it answers.

    Raises:
        DataError, StateError: the model cannot be opened.
        StateError: the port is taken, or the cluster already serves something.
    """
    with cluster.session():
        if ray_serve.status().applications:
            raise StateError("this Ray cluster serves already; deploy serve.app:build by a config")
        application = build(Arguments(model=model))
        port = free_port(host, port)
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        ray_serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port})
        try:
            ray_serve.run(application, name="hashnext")
            yield f"http://{host}:{port}"
        finally:
            ray_serve.shutdown()


def free_port(host: str, port: int) -> int:
    """The port, or any free one for 0. Raises StateError when it cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StateError(f"--host {host} --port {port}: {error.strerror}") from error
        return int(probe.getsockname()[1])


def main(job: Serve) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    try:
        with running(job.model, job.port, job.host) as url:
            signal.signal(signal.SIGTERM, _interrupt)
            print(f"serving {job.model} at {url} (page), {url}/docs (interface); Ctrl-C stops")
            while True:
                signal.pause()
    except KeyboardInterrupt:
        print("stopped")


def _locate(model: str) -> tuple[str, str | None]:
    """Where replicas find the package, and its version: one version for all of them."""
    if not model.startswith(REGISTRY_SCHEME):
        return absolute(model), None
    from hashnext.registry import versions  # MLflow takes seconds to import

    pinned = versions.pinned(model)
    version = pinned.rsplit("/", 1)[1]
    if cluster.is_shared():
        cluster.require_shared_locations()
        return pinned, version
    return str(versions.resolve(pinned)), version


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    cli.run(Serve, main, __doc__)
