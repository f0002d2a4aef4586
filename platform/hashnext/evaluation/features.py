"""Run a frozen network over encoded images: decode in threads, forward pass in batches."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashnext import progress
from hashnext.errors import DataError
from hashnext.evaluation.labelled import LabelledSet
from hashnext.images.crop import centre_crop
from hashnext.images.decode import DecodeLimits, ImageRejected, decode
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt

BATCH = 128


def extract_features(model: ResNeXt, preprocess: Preprocess, images: LabelledSet) -> Tensor:
    """Pooled features of all images: float32 (N, 2048), on the CPU.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    return forward(model, model.features, preprocess, images, "features")


def forward(
    model: torch.nn.Module,
    function: Callable[[Tensor], Tensor],
    preprocess: Preprocess,
    images: LabelledSet,
    title: str,
) -> Tensor:
    """Results of `function`, the model or one of its methods, in eval mode: float32, on the CPU.

    The model is moved to the accelerator if there is one, and to channels-last.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    device = pick_device()
    model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    results: list[Tensor] = []
    with (
        progress.meter(title, len(images), "images") as meter,
        torch.inference_mode(),
        autocast(device),
    ):
        for done, pixels in _batches(images, preprocess):
            results.append(function(preprocess.normalise(pixels.to(device))).float().cpu())
            meter.update(done)
    # A clone leaves inference mode: the probe takes gradients through what it multiplies these by.
    return torch.cat(results).clone()


def decode_cropped(
    images: LabelledSet, rows: range, size: int, crop_fraction: float
) -> Iterator[NDArray[np.uint8]]:
    """Central crops of some rows, decoded in threads: uint8 (size, size, 3) each.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    limits = DecodeLimits()

    def one(row: int) -> NDArray[np.uint8]:
        try:
            image = decode(images.images[row], limits, min_side=round(size / crop_fraction))
        except ImageRejected as error:
            raise DataError(f"image of id {images.ids[row]!r}: {error}") from error
        return centre_crop(image, size, crop_fraction)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, rows)


def pick_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the hardware multiplies it natively; emulated, it would be slower."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = bool(torch.cpu._is_avx512_bf16_supported())  # torch 2.11 has no public one
    return torch.autocast(device.type, torch.bfloat16, enabled=native)


def _batches(images: LabelledSet, preprocess: Preprocess) -> Iterator[tuple[int, Tensor]]:
    """Batches of uint8 (b, size, size, 3), with the number of images so far.

    One thread decodes a batch ahead while the network works on the present one.
    """

    def stack(start: int) -> Tensor:
        rows = range(start, min(start + BATCH, len(images)))
        crops = decode_cropped(images, rows, preprocess.size, preprocess.crop_fraction)
        return torch.from_numpy(np.stack(list(crops)))

    starts = range(0, len(images), BATCH)
    with ThreadPoolExecutor(1) as ahead:
        pending = ahead.submit(stack, 0)
        for start in starts:
            pixels = pending.result()
            if start + BATCH < len(images):
                pending = ahead.submit(stack, start + BATCH)
            yield min(start + BATCH, len(images)), pixels
