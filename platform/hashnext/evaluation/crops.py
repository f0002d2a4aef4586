"""From encoded images to the crops that a network is evaluated on. Imports no torch, because Ray
Data tasks run it.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from hashnext.errors import DataError
from hashnext.images.crop import centre_crop
from hashnext.images.decode import RGB, DecodeLimits, ImageRejected, decode

LIMITS = DecodeLimits()


def quick_crop(data: bytes, size: int, crop_fraction: float) -> RGB:
    """Central crop of an encoded image, a JPEG decoded at no more than the scale that it needs.

    Raises:
        ImageRejected: it cannot be decoded.
    """
    image = decode(data, LIMITS, min_side=round(size / crop_fraction))
    return centre_crop(image, size, crop_fraction)


def decode_crops(batch: pa.Table, size: int, crop_fraction: float) -> dict[str, Any]:
    """Quick crops of a batch of images.

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
    pixels = np.empty((batch.num_rows, size, size, 3), np.uint8)
    for place, row in enumerate(batch.to_pylist()):
        try:
            pixels[place] = quick_crop(row["image"], size, crop_fraction)
        except ImageRejected as error:
            raise DataError(f"image of id {row['id']!r}: {error}") from error
    return {"row": batch["row"].to_numpy(), "pixels": pixels}
