"""Files of weights: brought to this machine, checked by their hash, read as tensors alone.

The files of torch-hub and timm end in the first digits of their SHA-256, as in `-c38310e5.pth`.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs
from safetensors import SafetensorError
from safetensors.torch import load_file

from hashnext import progress, settings
from hashnext.errors import DataError
from hashnext.posts import web
from hashnext.storage import base_name, locate

FOLDER = "weights"
"""Of what was fetched, in HASHNEXT_HOME."""
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
WEB = ("http://", "https://")
SAFETENSORS = ".safetensors"
CHUNK = 4 << 20
TIMEOUT_S = 60.0
_REFUSED = re.compile(r"GLOBAL (\S+)")


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of weights on this machine."""

    location: str
    """Where it came from."""
    path: Path
    """Where it lies."""
    sha256: str
    """Of the whole file."""

    def read(self) -> Any:
        """What the file holds, on the CPU. Of pickle, only tensors and plain containers are taken.

        Raises:
            DataError: it holds other objects, or is damaged.
        """
        try:
            if self.path.suffix == SAFETENSORS:
                return load_file(self.path)
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DataError(f"{self.location}: not loaded: {_refusal(str(error))}") from error
        except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
            raise DataError(f"{self.location}: cannot be read as weights ({error})") from error


def fetch(location: str) -> WeightsFile:
    """The file at a path, a URI of `pyarrow.fs` or a web address.

    A file from elsewhere goes into HASHNEXT_HOME; it stays there for the next time if its name
    holds its hash.

    Raises:
        DataError: there is no such file, it cannot be fetched, or it is not what its name says.
        ConfigError: the URI is none that pyarrow can open.
    """
    if location.startswith(WEB):
        return _fetched(location)
    filesystem, path = locate(location)
    if not isinstance(filesystem, fs.LocalFileSystem):
        return _fetched(location)
    if not Path(path).is_file():
        raise DataError(f"{location}: there is no such file")
    return _checked(location, Path(path))


def _fetched(location: str) -> WeightsFile:
    name = base_name(location)
    target = settings.home() / FOLDER / name
    stated = HASH_IN_NAME.search(name)
    if stated and target.is_file() and _sha256(target).startswith(stated[1]):
        return WeightsFile(location=location, path=target, sha256=_sha256(target))
    target.parent.mkdir(exist_ok=True)
    aside = target.with_name(f"{os.getpid()}.tmp-{name}")
    try:
        _copy(location, aside)
        sha256 = _checked(location, aside).sha256
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)
    return WeightsFile(location=location, path=target, sha256=sha256)


def _checked(location: str, path: Path) -> WeightsFile:
    sha256 = _sha256(path)
    stated = HASH_IN_NAME.search(base_name(location))
    if stated and not sha256.startswith(stated[1]):
        raise DataError(
            f"{location}: its SHA-256 begins with {sha256[: len(stated[1])]}, and its name says "
            f"{stated[1]}: damaged; or rename it, if the end of the name is no hash"
        )
    return WeightsFile(location=location, path=path, sha256=sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(location: str, target: Path) -> None:
    try:
        with _opened(location) as (read, size), target.open("wb") as out:
            title = f"fetch {base_name(location)}"
            with progress.meter(title, (size or 0) / 1e6, "MB") as meter:
                while chunk := read(CHUNK):
                    out.write(chunk)
                    meter.update(out.tell() / 1e6)
    except FileNotFoundError as error:
        raise DataError(f"{location}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{location}: cannot be fetched ({error})") from error


@contextmanager
def _opened(location: str) -> Iterator[tuple[Callable[[int], bytes], int | None]]:
    """How to read a file that lies elsewhere, and its size in bytes if that is known."""
    if location.startswith(WEB):
        with web.answer(location, TIMEOUT_S) as response:
            yield response.read, web.length(response)
        return
    filesystem, path = locate(location)
    with filesystem.open_input_stream(path, compression=None) as stream:
        yield stream.read, filesystem.get_file_info(path).size


def _refusal(message: str) -> str:
    """PyTorch's reason without its advice to load the file all the same."""
    if found := _REFUSED.search(message):
        return f"unpickling it would make a {found[1]}, and only tensors are read"
    return "holds more than tensors, or is no file of PyTorch"
