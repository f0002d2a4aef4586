"""Features on a Ray cluster: CPUs decode and crop, accelerators run the network.

One task decodes one batch, and one actor an accelerator turns batches into features; where there is
no accelerator, one actor a node does. On a single machine `features.extract_features` is faster,
because no process has to start.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from ray.data import ActorPoolStrategy
from torch import Tensor

from hashnext import cluster
from hashnext.evaluation.crops import decode_crops
from hashnext.evaluation.features import BATCH, ready_device
from hashnext.evaluation.labelled import LabelledSet
from hashnext.models.precision import autocast
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt
from hashnext.progress import meter


def extract_on_cluster(model: ResNeXt, preprocess: Preprocess, images: LabelledSet) -> Tensor:
    """Pooled features of all images by Ray Data: float32 (N, 2048), on the CPU.

    Joins the cluster at `RAY_ADDRESS` unless there is a session already.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    rows: list[np.ndarray[Any, Any]] = []
    features: list[np.ndarray[Any, Any]] = []
    with cluster.session(), meter("features", len(images), "images") as progress:
        dataset = (
            ray.data.from_blocks(_batches(images))
            .map_batches(
                decode_crops,
                batch_size=None, batch_format="pyarrow",
                fn_kwargs={"size": preprocess.size, "crop_fraction": preprocess.crop_fraction},
            )
            .map_batches(
                Extractor, batch_size=None,
                fn_constructor_args=(ray.put(model.cpu()), preprocess), **_placement(images),
            )
        )  # fmt: skip
        for batch in dataset.iter_batches(batch_size=None, batch_format="numpy"):
            rows.append(batch["row"])
            features.append(batch["features"])
            progress.update(sum(map(len, rows)))
    found = np.concatenate(features)
    ordered = np.empty_like(found)
    ordered[np.concatenate(rows)] = found
    return torch.from_numpy(ordered)


class Extractor:
    """Ray Data actor: crops in, features out."""

    def __init__(self, model: Any, preprocess: Preprocess) -> None:
        self.device, self.preprocess = ready_device(), preprocess
        self.model: ResNeXt = ray.get(model)
        self.model.to(self.device, memory_format=torch.channels_last).eval()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Features of uint8 (b, size, size, 3), float32 (b, 2048)."""
        pixels = torch.from_numpy(batch["pixels"].copy()).to(self.device)
        with torch.inference_mode(), autocast(self.device):
            features = self.model.features(self.preprocess.normalise(pixels))
        return {"row": batch["row"], "features": features.float().cpu().numpy()}


def _batches(images: LabelledSet) -> list[pa.Table]:
    columns = {
        "row": pa.array(range(len(images)), pa.int64()),
        "id": pa.array(images.ids, pa.string()),
        "image": pa.array(images.images, pa.large_binary()),
    }
    table = pa.table(columns)
    return [table.slice(start, BATCH) for start in range(0, len(images), BATCH)]


def _placement(images: LabelledSet) -> dict[str, Any]:
    """How many actors, and what each needs."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    nodes = len([node for node in ray.nodes() if node["Alive"]])
    actors = min(gpus or nodes, -(-len(images) // BATCH))
    needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
    return {"compute": ActorPoolStrategy(size=actors), **needs}
