"""Decode and crop a batch of labelled images. Runs in Ray Data tasks; imports no torch."""

from typing import Any

import numpy as np
import pyarrow as pa

from hashnext.errors import DataError
from hashnext.images.crop import centre_crop
from hashnext.images.decode import DecodeLimits, ImageRejected, decode


def decode_crops(batch: pa.Table, size: int, crop_fraction: float) -> dict[str, Any]:
    """Central crops of the images of a batch.

    Args:
        batch: `row`, `id` and the encoded `image` of each.
        size: side of the crops, in pixels.
        crop_fraction: share of the short side that they cover.

    Returns:
        row: int64 (b,), as in the batch.
        pixels: uint8 (b, size, size, 3).

    Raises:
        DataError: an image cannot be decoded; the message names its id.
    """
    limits = DecodeLimits()
    pixels = np.empty((batch.num_rows, size, size, 3), np.uint8)
    for place, row in enumerate(batch.to_pylist()):
        try:
            image = decode(row["image"], limits, min_side=round(size / crop_fraction))
        except ImageRejected as error:
            raise DataError(f"image of id {row['id']!r}: {error}") from error
        pixels[place] = centre_crop(image, size, crop_fraction)
    return {"row": batch["row"].to_numpy(), "pixels": pixels}
