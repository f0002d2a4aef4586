"""Decode untrusted image bytes: strict, under limits, orientation applied, metadata left behind.

JPEG goes through simplejpeg (fast, refuses truncated data, can decode at a reduced scale); the
other formats go through Pillow, and the size is checked before anything is decoded. What Pillow's
readers raise on hostile bytes is not a closed list, so whatever they raise rejects the image.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hashnext.errors import ConfigError, DataError

RGB = NDArray[np.uint8]
ORIENTATION_TAG = 0x0112
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000")
"""Pillow's names of what is read: formats of photos (MPO comes with JPEG). Its others are seldom
met, and offer more to attack: EPS is run as a program."""


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """What is refused before it is decoded."""

    max_bytes: int = 64 << 20
    """Largest encoded image, in bytes."""
    max_pixels: int = 128_000_000
    """Largest width x height; a 30,000 x 30,000 PNG of a few kilobytes would need 2.7 GB."""

    def __post_init__(self) -> None:
        for key in ("max_bytes", "max_pixels"):
            if getattr(self, key) < 1:
                raise ConfigError(f"limits.{key}", getattr(self, key), "must be at least 1")


class ImageRejected(DataError):  # noqa: N818 - an outcome, with a reason to record
    """An image that cannot be used.

    Attributes:
        reason: empty, oversized, not_image, truncated or broken.
        detail: what the decoder said.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def decode(data: bytes | None, limits: DecodeLimits, min_side: int | None = None) -> RGB:
    """Decode an image.

    Args:
        data: encoded bytes in one of FORMATS.
        limits: checked before any pixel is decoded.
        min_side: a JPEG may be decoded at a reduced scale whose sides are at least this long, in
            pixels; None decodes at full size.

    Returns:
        uint8 (H, W, 3), RGB, upright; the first frame of an animation; transparency over white.

    Raises:
        ImageRejected: with the reason.
    """
    with opened(data, limits) as picture:
        return picture.pixels(None if min_side is None else (min_side, min_side))


@dataclass(frozen=True)
class Picture:
    """An image whose header has been read and found within the limits."""

    data: bytes
    header: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        width, height = self.header.size
        return (height, width) if self._orientation >= 5 else (width, height)

    def pixels(self, least: tuple[int, int] | None = None, min_factor: float = 1) -> RGB:
        """Decode: uint8 (H, W, 3).

        Args:
            least: width and height, upright, that a JPEG is decoded at or above; None: full size.
            min_factor: a JPEG is reduced by this or more, or not at all.

        Raises:
            ImageRejected: with the reason.
        """
        if self.header.format != "JPEG" or self.header.mode not in ("RGB", "L"):
            return _decode_with_pillow(self.header)
        width, height = least or (0, 0)
        if self._orientation >= 5:
            width, height = height, width
        factor = min_factor if least else 1
        return _upright(_decode_jpeg(self.data, width, height, factor), self._orientation)

    @property
    def is_upright_jpeg(self) -> bool:
        """True for a JPEG whose pixels are stored as they are to be seen."""
        return self.header.format == "JPEG" and self._orientation == 1

    @property
    def _orientation(self) -> int:
        found = self.header.getexif().get(ORIENTATION_TAG)
        return found if isinstance(found, int) and 1 <= found <= 8 else 1


@contextmanager
def opened(data: bytes | None, limits: DecodeLimits) -> Iterator[Picture]:
    """Read an image's header and check the limits; the block may then decode it.

    Raises:
        ImageRejected: with the reason.
    """
    if not data:
        raise ImageRejected("empty", "no bytes")
    if len(data) > limits.max_bytes:
        raise ImageRejected("oversized", f"{len(data)} bytes, at most {limits.max_bytes}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images; the limit decides here
        image = _open(data)
        width, height = image.size
        if width * height > limits.max_pixels:
            raise ImageRejected(
                "oversized", f"{width} x {height} pixels, at most {limits.max_pixels}"
            )
        yield Picture(data, image)


def encode_jpeg(image: RGB, quality: int = 90) -> bytes:
    """Encode uint8 (H, W, 3) RGB as JPEG without any metadata."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorspace="RGB"))


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageRejected("oversized", str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageRejected("not_image", f"none of {', '.join(FORMATS)}") from error
    except Exception as error:
        raise _rejected(error) from error


def _rejected(error: Exception) -> ImageRejected:
    text = str(error).lower()
    truncated = "truncated" in text or "premature end" in text
    detail = str(error) or type(error).__name__
    return ImageRejected("truncated" if truncated else "broken", detail)


def _decode_jpeg(data: bytes, min_width: int, min_height: int, min_factor: float) -> RGB:
    try:
        image: RGB = simplejpeg.decode_jpeg(
            data, "RGB", min_height=min_height, min_width=min_width, min_factor=min_factor,
            strict=True,
        )  # fmt: skip
    except ValueError as error:
        raise _rejected(error) from error
    return image


def _upright(image: RGB, orientation: int) -> RGB:
    if orientation == 1:
        return image
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def _decode_with_pillow(image: Image.Image) -> RGB:
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        return np.asarray(_over_white(image), dtype=np.uint8)
    except Exception as error:
        raise _rejected(error) from error


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
