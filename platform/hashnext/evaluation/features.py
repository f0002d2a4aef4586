"""Run a frozen network over encoded images: decode in threads, forward pass in batches.

The images come batch by batch, so that they need not all be in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hashnext import progress, settings
from hashnext.errors import DataError
from hashnext.evaluation.crops import quick_crop
from hashnext.images.decode import RGB, ImageRejected
from hashnext.models.precision import autocast
from hashnext.models.preprocess import Preprocess
from hashnext.models.resnext import ResNeXt

BATCH = 128

Crop = Callable[[bytes], RGB]
"""From an encoded image to the square that the network gets: uint8 (size, size, 3)."""


class EncodedImages(Protocol):
    """Images that are read in order."""

    @property
    def ids(self) -> Sequence[str]:
        """One an image."""

    def batches(self, size: int) -> Iterator[list[bytes]]:
        """All images as they are encoded, at most `size` at a time."""


def extract_features(model: ResNeXt, preprocess: Preprocess, images: EncodedImages) -> Tensor:
    """Pooled features of all images: float32 (N, 2048), on the CPU.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    return forward(model, model.features, preprocess, images, "features")


def forward(
    model: torch.nn.Module,
    function: Callable[[Tensor], Tensor],
    preprocess: Preprocess,
    images: EncodedImages,
    title: str,
    *,
    crop: Crop | None = None,
    batch: int = BATCH,
    bf16: bool = True,
) -> Tensor:
    """Results of `function`, the model or one of its methods, in eval mode: float32, on the CPU.

    The model is moved to the accelerator if there is one, and to channels-last.

    Args:
        model: moved and set to eval mode.
        function: from float (b, 3, size, size), normalised, to (b, ...).
        preprocess: how images become the network's input.
        images: read once.
        title: of the progress bar.
        crop: instead of `quick_crop` with the sizes of `preprocess`.
        batch: images in a forward pass.
        bf16: bfloat16 where the hardware multiplies it natively.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    device = ready_device()
    model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    crop = crop or partial(quick_crop, size=preprocess.size, crop_fraction=preprocess.crop_fraction)
    results: list[Tensor] = []
    with (
        progress.meter(title, len(images.ids), "images") as meter,
        torch.inference_mode(),
        autocast(device) if bf16 else nullcontext(),
    ):
        for done, pixels in _batches(images, crop, batch):
            results.append(function(preprocess.normalise(pixels.to(device))).float().cpu())
            meter.update(done)
    # A clone leaves inference mode: the probe takes gradients through what it multiplies these by.
    return torch.cat(results).clone()


def decode_cropped(images: Sequence[bytes], ids: Sequence[str], crop: Crop) -> Iterator[RGB]:
    """Crops of some images, decoded in threads: uint8 (size, size, 3) each.

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """

    def one(name: str, data: bytes) -> RGB:
        try:
            return crop(data)
        except ImageRejected as error:
            raise DataError(f"image of id {name!r}: {error}") from error

    with ThreadPoolExecutor(settings.cores()) as pool:
        yield from pool.map(one, ids, images)


def pick_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def ready_device() -> torch.device:
    """The device to work on; if it is the CPU, torch's threads are set to `settings.cores`."""
    device = pick_device()
    if device.type == "cpu":
        torch.set_num_threads(settings.cores())  # Ray sets one thread per logical CPU asked for
    return device


def _batches(images: EncodedImages, crop: Crop, size: int) -> Iterator[tuple[int, Tensor]]:
    """Batches of uint8 (b, size, size, 3), with the number of images so far.

    One thread reads and decodes a batch ahead while the network works on the present one.
    """
    ids, source = images.ids, images.batches(size)

    def read(start: int) -> Tensor | None:
        if (encoded := next(source, None)) is None:
            return None
        crops = decode_cropped(encoded, ids[start : start + len(encoded)], crop)
        return torch.from_numpy(np.stack(list(crops)))

    done = 0
    with ThreadPoolExecutor(1) as ahead:
        pending = ahead.submit(read, done)
        while (pixels := pending.result()) is not None:
            done += len(pixels)
            pending = ahead.submit(read, done)
            yield done, pixels
