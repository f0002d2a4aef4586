"""Decode no more of an image than a crop of it needs.

A JPEG can be decoded at 1/2, 3/8, 1/4 or 1/8 of its size for less work (libjpeg's scaled inverse
DCT). The box is drawn on the full size first, so that what it shows does not depend on the scale.

A small box of a large photo gains nothing: at half of the size it would have too few pixels, and
neither simplejpeg, Pillow nor OpenCV decodes a part of a JPEG at full size. The price is bounded,
because more than half of it is Huffman's code, which is read at every scale: of photos of
3,000 x 2,000 px, a core cuts crops of 224 px at 61 a second from boxes of 300 px (full size), 81
from 500 px (half) and 112 from 2,000 px (an eighth). Shards of the usual short side of 256 px hold
no such photos.
"""

import math
from collections.abc import Callable

from hashnext.images.crop import Box, crop
from hashnext.images.decode import RGB, DecodeLimits, opened

MIN_SHRINK = 2
"""Reduction from which the decoder saves work; factors between 1 and 2 cost more than full size."""


def decode_region(
    data: bytes | None, limits: DecodeLimits, draw_box: Callable[[int, int], Box], size: int,
    cut: Callable[[RGB, Box, int], RGB] = crop,
) -> RGB:  # fmt: skip
    """Decode an image and crop a box of it.

    Args:
        data: encoded bytes.
        limits: checked before any pixel is decoded.
        draw_box: box (left, top, right, bottom) in an upright image of (width, height) pixels.
        size: side of the output, in pixels.
        cut: crops a box of decoded pixels to the size.

    Returns:
        uint8 (size, size, 3). The box is decoded at `size` x `size` or more where it has as many
        pixels, so it is never enlarged because of the scale.

    Raises:
        ImageRejected: with the reason.
    """
    with opened(data, limits) as picture:
        width, height = picture.size
        box = draw_box(width, height)
        pixels = picture.pixels(least_size(width, height, box, size), MIN_SHRINK)
    return cut(pixels, scaled(box, pixels.shape[1] / width, pixels.shape[0] / height), size)


def least_size(width: int, height: int, box: Box, size: int) -> tuple[int, int] | None:
    """Smallest (width, height) of the whole image at which the box has `size` pixels a side.

    None, for full size, where that is more than half of the image.
    """
    left, top, right, bottom = box
    least = math.ceil(size * width / (right - left)), math.ceil(size * height / (bottom - top))
    fits = least[0] * MIN_SHRINK <= width and least[1] * MIN_SHRINK <= height
    return least if fits else None


def scaled(box: Box, across: float, down: float) -> Box:
    """A box in an image whose sides were multiplied by `across` and `down`."""
    left, top, right, bottom = box
    return left * across, top * down, right * across, bottom * down
