"""Resize and crop uint8 images: the random crop of training, the centre crop of evaluation.

Random numbers come in as arguments, so a crop can be replayed.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashnext.images.decode import RGB

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels; may be fractional."""
ASPECT = (3 / 4, 4 / 3)
"""Range of a random crop's aspect ratio."""
ATTEMPTS = 10
"""Draws before a random crop falls back to the largest fitting one, as in torchvision."""


def resize_short_side(image: RGB, short_side: int) -> RGB:
    """Shrink uint8 (H, W, 3) so that the short side is at most `short_side`; never enlarge."""
    height, width = image.shape[:2]
    factor = short_side / min(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(resized, dtype=np.uint8)


def centre_crop(image: RGB, size: int, crop_fraction: float = 0.875) -> RGB:
    """Central square of `crop_fraction` of the short side, resized to `size`.

    The same as resizing the short side to size / crop_fraction and cropping the centre: 256 and
    224 in the paper.

    Returns:
        uint8 (size, size, 3).
    """
    height, width = image.shape[:2]
    return crop(image, centre_box(width, height, crop_fraction), size)


def resize_and_crop(image: RGB, size: int, crop_fraction: float = 0.875) -> RGB:
    """Resize the short side to size / crop_fraction, then cut out the central square.

    Both steps in whole pixels, as torchvision's Resize and CenterCrop do and figures of published
    weights are measured; `centre_crop` takes one step and lies within a pixel of it.

    Returns:
        uint8 (size, size, 3).
    """
    height, width = image.shape[:2]
    short = round(size / crop_fraction)
    side = min(width, height)
    width, height = int(short * width / side), int(short * height / side)
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.uint8)


def centre_box(width: int, height: int, crop_fraction: float = 0.875) -> Box:
    """Central square of `crop_fraction` of the short side."""
    side = min(height, width) * crop_fraction
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def crop(image: RGB, box: Box, size: int) -> RGB:
    """Resize a box of an image to uint8 (size, size, 3)."""
    height, width = image.shape[:2]
    left, top, right, bottom = box
    box = left, top, min(right, width), min(bottom, height)  # rounding may lead a hair beyond
    resized = Image.fromarray(image).resize(
        (size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0
    )
    return np.asarray(resized, dtype=np.uint8)


def crop_quickly(image: RGB, box: Box, size: int) -> RGB:
    """Resize a box of an image, rounded to whole pixels, to uint8 (size, size, 3).

    OpenCV is faster than Pillow (tests.benchmarks.ingest tells by how much a stream gains). Area
    means where both sides shrink, which lets no detail alias; else bilinear.
    """
    left, top, right, bottom = (round(edge) for edge in box)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    shrinks = min(part.shape[:2]) >= size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size, size), interpolation=way), dtype=np.uint8)


def random_crop_box(width: int, height: int, min_area: float, uniforms: NDArray[np.float64]) -> Box:
    """Box of a random resized crop, torchvision's RandomResizedCrop in distribution.

    Args:
        width, height: size of the image in pixels.
        min_area: smallest share of the image's area that the box covers.
        uniforms: float64 (ATTEMPTS + 1, 2) in [0, 1); the last row places the box.

    Returns:
        left, top, right, bottom in whole pixels.
    """
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    *attempts, place = uniforms.tolist()
    for share, shape in attempts:
        area = width * height * (min_area + (1 - min_area) * share)
        aspect = math.exp(low + (high - low) * shape)
        across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 1 <= across <= width and 1 <= down <= height:
            left = int(place[0] * (width - across + 1))
            top = int(place[1] * (height - down + 1))
            return left, top, left + across, top + down
    return _largest_central_box(width, height)


def _largest_central_box(width: int, height: int) -> Box:
    box_width = min(width, height * ASPECT[1])
    box_height = min(height, width / ASPECT[0])
    left, top = (width - box_width) / 2, (height - box_height) / 2
    return left, top, left + box_width, top + box_height
