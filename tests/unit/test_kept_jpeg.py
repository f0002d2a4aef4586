"""JPEGs that are not encoded again: the same pixels, nothing beside them, and what is not kept."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashnext.images.decode import DecodeLimits, ImageRejected, decode, encode_jpeg
from hashnext.images.kept_jpeg import HEADER, kept_jpeg
from hashnext.shards.part import PrepareConfig, shrunk

LIMITS = DecodeLimits()


def jpeg(mode: str = "RGB", size: tuple[int, int] = (96, 64), seed: int = 0, **how: Any) -> bytes:
    """A smooth picture, encoded by Pillow."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode).save(
        stream, "JPEG", **how
    )
    return stream.getvalue()


@given(
    width=st.integers(16, 130), height=st.integers(16, 130), seed=st.integers(0, 9),
    quality=st.integers(20, 90), subsampling=st.sampled_from([0, 1, 2]),
    restart=st.sampled_from([0, 1, 3]), comment=st.binary(max_size=80), end=st.binary(max_size=9),
)  # fmt: skip
def test_the_pixels_stay_and_everything_else_goes(
    width: int, height: int, seed: int, quality: int, subsampling: int, restart: int,
    comment: bytes, end: bytes,
) -> None:  # fmt: skip
    how = {"quality": quality, "subsampling": subsampling, "restart_marker_blocks": restart}
    size = width, height
    plain = jpeg(size=size, seed=seed, **how)
    told = jpeg(size=size, seed=seed, comment=comment, icc_profile=comment, dpi=(72, 72), **how)
    kept = kept_jpeg(told + end)
    if kept is None:
        assert 8 * len(plain) > 3.5 * width * height, "only what is large is encoded again"
        return
    assert kept == kept_jpeg(plain) == kept_jpeg(kept)
    assert kept.startswith(HEADER)
    assert len(kept) <= len(plain)
    assert (decode(kept, LIMITS) == decode(told, LIMITS)).all()


@given(st.integers(0, 2000), st.integers(0, 255))
def test_damage_is_refused_when_decoded_and_never_crashes(place: int, value: int) -> None:
    data = bytearray(jpeg(comment=b"of a stranger"))
    data[place % len(data)] = value
    kept = kept_jpeg(bytes(data))
    if kept is not None:
        try:
            expected = decode(bytes(data), LIMITS)
        except ImageRejected:
            return
        assert (decode(kept, LIMITS) == expected).all()


@pytest.mark.parametrize(
    "data",
    [
        jpeg(progressive=True), jpeg("L"), jpeg("CMYK"), jpeg().replace(b"JFIF", b"NONE"),
        jpeg()[:-2], jpeg()[:300], jpeg()[:20], b"", b"\x89PNG\r\n\x1a\n",
    ],
    ids=["progressive", "grey", "cmyk", "no jfif", "no end", "short", "shorter", "empty", "png"],
)  # fmt: skip
def test_what_is_not_kept(data: bytes) -> None:
    assert kept_jpeg(data) is None


def test_large_files_are_encoded_again() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert kept_jpeg(encode_jpeg(noise, 95)) is None


@pytest.mark.parametrize(("size", "kept"), [(64, True), (65, True), (63, False)])
def test_what_shrinks_is_encoded_again(size: int, kept: bool) -> None:
    data = jpeg(quality=60)
    stored = shrunk(data, PrepareConfig(size=size))
    assert stored.pixels.shape[:2] == decode(stored.jpeg, LIMITS).shape[:2]
    assert (stored.jpeg == kept_jpeg(data)) == kept


def test_what_is_turned_upright_is_encoded_again() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    stored = shrunk(jpeg(exif=turned), PrepareConfig(size=256))
    assert stored.pixels.shape == (96, 64, 3)
    assert np.abs(decode(stored.jpeg, LIMITS).astype(int) - stored.pixels).mean() < 3
