"""Features of labelled images, computed once for a network and kept in `HASHNEXT_HOME/features`.

A file holds ids and a feature matrix, no image and no label. Its name is the SHA-256 of all that
the features depend on, so that it is never out of date, and whoever needs the space may delete it.
The images are those of an evaluation set, not posts: a takedown has nothing to remove here.
"""

import hashlib
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor

from hashnext import settings
from hashnext.evaluation.features import extract_features, pick_device
from hashnext.evaluation.labelled import LabelledSet
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt
from hashnext.storage import Folder

FOLDER = "features"


@dataclass(frozen=True)
class Extracted:
    """Features of a set of images."""

    features: Tensor
    """float32 (N, 2048), on the CPU, in the order of the set."""
    images: int
    """Images that were run through the network for them: all, or none where they were kept."""


def cached_features(model: ResNeXt, preprocess: Preprocess, images: LabelledSet) -> Extracted:
    """Pooled features of all images, from the cache where it has them.

    Where `RAY_ADDRESS` names a cluster, Ray Data extracts them there; else threads do it here.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    folder = Folder.at(settings.home() / FOLDER)
    name = f"{_key(model, preprocess, images)}.parquet"
    kept = _read(folder, name, images)
    if kept is not None:
        return Extracted(kept, 0)
    features = _extract(model, preprocess, images)
    folder.write_table(name, _table(images, features))
    return Extracted(features, len(images))


def fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 over the layers of a network and its weights, wherever these lie."""
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f" {name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).numpy().data)
    return digest.hexdigest()


def _key(model: ResNeXt, preprocess: Preprocess, images: LabelledSet) -> str:
    parts = (fingerprint(model), preprocess, images.fingerprint, pick_device().type)
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def _extract(model: ResNeXt, preprocess: Preprocess, images: LabelledSet) -> Tensor:
    if settings.ray_address() is None:
        return extract_features(model, preprocess, images)
    from hashnext.evaluation.ray_features import extract_on_cluster  # Ray, only where it is used

    return extract_on_cluster(model, preprocess, images)


def _table(images: LabelledSet, features: Tensor) -> pa.Table:
    values = pa.array(features.numpy().reshape(-1), pa.float32())
    rows = pa.FixedSizeListArray.from_arrays(values, features.shape[1])
    return pa.table({"id": pa.array(images.ids, pa.string()), "features": rows})


def _read(folder: Folder, name: str, images: LabelledSet) -> Tensor | None:
    """The features kept under a name; None where there are none, or the file is damaged."""
    try:
        table = folder.read_table(name)
        if table["id"].to_pylist() != images.ids:
            return None
        values = table["features"].combine_chunks().flatten().to_numpy()
    except (KeyError, OSError, pa.ArrowException):
        return None
    return torch.from_numpy(values.reshape(len(images), -1).copy())
