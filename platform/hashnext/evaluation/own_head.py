"""How good a network is with its own label head, on labelled images that are read once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch

from hashnext.evaluation.crops import LIMITS
from hashnext.evaluation.features import forward
from hashnext.evaluation.labelled import Fingerprint
from hashnext.evaluation.labelled_stream import LabelledStream
from hashnext.evaluation.scores import TOP, Scores, score
from hashnext.images.crop import resize_and_crop
from hashnext.images.decode import RGB, decode
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came out."""

    scores: Scores
    images: str
    """Fingerprint over ids, images and labels: that of a `LabelledSet` of the same."""
    seconds: float


def evaluate_head(
    network: ResNeXt, preprocess: Preprocess, images: LabelledStream, *, batch: int, bf16: bool
) -> Evaluation:
    """Score the network's outputs on images whose labels are the numbers of its outputs.

    Args:
        network: its head decides.
        preprocess: size, crop and normalisation; resized and cropped as torchvision does.
        images: read once, `batch` at a time and as many ahead.
        batch: images in a forward pass.
        bf16: bfloat16 where the hardware multiplies it natively.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    started = time.monotonic()
    seen = _Seen(images)
    answers = min(TOP, network.fc.out_features)

    def best(pixels: torch.Tensor) -> torch.Tensor:
        labels: torch.Tensor = network(pixels).topk(answers).indices
        return labels  # as float32 they are exact up to 2^24

    crop = partial(published_crop, size=preprocess.size, crop_fraction=preprocess.crop_fraction)
    top = forward(network, best, preprocess, seen, "evaluate", crop=crop, batch=batch, bf16=bf16)
    return Evaluation(
        scores=score(top.long().numpy(), images.ids, images.labels),
        images=seen.fingerprint.hexdigest(),
        seconds=round(time.monotonic() - started, 1),
    )


def published_crop(data: bytes, size: int, crop_fraction: float) -> RGB:
    """The crop that figures of published weights are measured on: decoded at full size, resized,
    then cropped. Only that an image is turned upright first, which torchvision's loader leaves out.

    Raises:
        ImageRejected: it cannot be decoded.
    """
    return resize_and_crop(decode(data, LIMITS), size, crop_fraction)


@dataclass
class _Seen:
    """Images whose fingerprint grows while they are read."""

    images: LabelledStream
    fingerprint: Fingerprint = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprint = Fingerprint(self.images.labels)

    @property
    def ids(self) -> list[str]:
        return self.images.ids

    def batches(self, size: int) -> Iterator[list[bytes]]:
        ids = iter(self.images.ids)
        for batch in self.images.batches(size):
            for image in batch:
                self.fingerprint.add(next(ids), image)
            yield batch
