"""Decoding untrusted bytes: every common format in, every broken one out with its reason."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashnext.errors import ConfigError
from hashnext.images.decode import FORMATS, DecodeLimits, ImageRejected, decode, encode_jpeg

LIMITS = DecodeLimits()


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 24)) -> Image.Image:
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    return Image.fromarray(ramp.astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a huge size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"),
        ("P", "PNG"), ("1", "PNG"), ("P", "GIF"), ("RGB", "WEBP"), ("RGB", "BMP"), ("RGB", "TIFF"),
        ("I;16", "PNG"), ("RGB", "AVIF"), ("RGB", "PPM"), ("RGB", "JPEG2000"), ("RGB", "MPO"),
    ],
)  # fmt: skip
def test_every_format_becomes_rgb(mode: str, kind: str) -> None:
    image = (
        picture("L").convert("I").point(lambda v: v * 256).convert("I;16")
        if mode == "I;16"
        else picture(mode)
    )
    pixels = decode(encoded(image, kind), LIMITS)
    assert pixels.shape == (24, 40, 3)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].mean() < 60 < 190 < pixels[-1, -1].mean()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_alike_by_both_decoders(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    fast = decode(encoded(picture(), "JPEG", exif=exif, quality=100, subsampling=0), LIMITS)
    kept = decode(encoded(picture(), "PNG", exif=exif), LIMITS)
    assert fast.shape == kept.shape == ((24, 40, 3) if orientation < 5 else (40, 24, 3))
    assert np.abs(fast.astype(int) - kept).mean() < 4


def test_transparency_is_shown_over_white() -> None:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert (decode(encoded(image, "PNG"), LIMITS) == 255).all()


def dds(four_cc: bytes) -> bytes:
    """A DDS texture of 8 x 8 px in the compression named."""
    sizes = struct.pack("<7I44x", 124, 0x1007, 8, 8, 0, 0, 0)
    return b"DDS " + sizes + struct.pack("<II4s5I5I", 32, 4, four_cc, *[0] * 10) + bytes(64)


def overwritten(data: bytes, place: int, with_bytes: bytes) -> bytes:
    return data[:place] + with_bytes + data[place + len(with_bytes) :]


AVIF = encoded(picture(), "AVIF")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (dds(b"ZZZZ"), "not_image"),
        (overwritten(AVIF, AVIF.index(b"mdat") + 4, b"\xff" * 40), "broken"),
        (None, "empty"),
        (b"<html>not found</html>", "not_image"),
        (encoded(picture(), "JPEG")[:-200], "truncated"),
        (encoded(picture(size=(200, 200)), "PNG")[:500], "truncated"),
        (png_claiming(30_000, 30_000), "oversized"),
        (png_claiming(12_000, 12_000), "oversized"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_reason(data: bytes | None, reason: str) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode(data, LIMITS)
    assert caught.value.reason == reason


@given(
    kind=st.sampled_from(FORMATS), places=st.lists(st.integers(0, 399), min_size=1, max_size=6),
    values=st.binary(min_size=6, max_size=6),
)  # fmt: skip
@settings(max_examples=200)
def test_damaged_bytes_are_decoded_or_rejected_and_never_raise_anything_else(
    kind: str, places: list[int], values: bytes
) -> None:
    data = bytearray(encoded(picture(), kind))
    for place, value in zip(places, values, strict=False):
        data[place % len(data)] = value
    with suppress(ImageRejected):
        assert decode(bytes(data), DecodeLimits(max_pixels=1 << 20)).dtype == np.uint8


def test_limits_are_the_callers() -> None:
    data = encoded(picture(), "JPEG")
    with pytest.raises(ImageRejected, match="oversized: 40 x 24 pixels, at most 100"):
        decode(data, DecodeLimits(max_pixels=100))
    with pytest.raises(ImageRejected, match=r"oversized: \d+ bytes, at most 10"):
        decode(data, DecodeLimits(max_bytes=10))
    with pytest.raises(ConfigError, match=r"limits\.max_pixels = 0"):
        DecodeLimits(max_pixels=0)


def test_a_large_jpeg_is_decoded_at_a_reduced_scale() -> None:
    data = encoded(picture(size=(1600, 1200)), "JPEG")
    pixels = decode(data, LIMITS, min_side=256)
    assert 256 <= min(pixels.shape[:2]) < 600


def test_encoding_keeps_pixels_and_nothing_else() -> None:
    pixels = np.asarray(picture())
    again = Image.open(io.BytesIO(encode_jpeg(pixels)))
    assert not again.getexif()
    assert set(again.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert np.abs(np.asarray(again).astype(int) - pixels).mean() < 5
