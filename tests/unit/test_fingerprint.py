"""Copies are recognised whatever was done to them, and different pictures are not confused."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hashnext.images.alignment import similarity
from hashnext.images.decode import RGB, DecodeLimits, decode, encode_jpeg
from hashnext.images.fingerprint import ANCHORS, HASHES, MIRROR, content_box, fingerprint
from hashnext.images.hamming import pairs_within


def picture(seed: int, width: int = 96, height: int = 80) -> RGB:
    """Smooth random blobs."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(6)), float)
    spread = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    return np.rint(255 * spread).astype(np.uint8)


def bits(first: RGB, second: RGB) -> int:
    """Distance between the whole pictures' hashes."""
    one, other = fingerprint(first).hashes[0], fingerprint(second).hashes[0]
    return int(np.bitwise_count(one ^ other))


def test_recompressing_shrinking_and_brightening_change_few_bits() -> None:
    original = picture(0)
    small = np.asarray(Image.fromarray(original).resize((48, 40)))
    for copy in (decode(encode_jpeg(original, 40), DecodeLimits()), small, original // 2 + 20):
        assert bits(original, copy) <= 4
        assert similarity(*(fingerprint(each).thumbnails for each in (original, copy))) > 0.97


def test_mirroring_flips_known_bits() -> None:
    original, mirrored = (fingerprint(each).hashes for each in (picture(1), picture(1)[:, ::-1]))
    assert np.bitwise_count(original[0] ^ mirrored[0] ^ MIRROR) <= 1


@pytest.mark.parametrize("colour", [0, 255])
def test_bars_are_left_out(colour: int) -> None:
    original = picture(2)
    framed = np.full((120, 110, 3), colour, np.uint8)
    framed[20:100, 7:103] = original
    assert content_box(framed[..., 0]) == (7, 20, 103, 100)
    hashes = fingerprint(framed).hashes
    assert np.bitwise_count(hashes[1] ^ fingerprint(original).hashes[0]) <= 2


def test_a_crop_is_near_a_window_of_its_original() -> None:
    original = picture(3, 200, 160)
    crop = fingerprint(original[5:149, 12:192])
    distance = np.bitwise_count(fingerprint(original).hashes ^ crop.hashes[0]).min()
    assert distance <= 7
    assert similarity(fingerprint(original).thumbnails, crop.thumbnails) > 0.94


def test_different_pictures_are_far_apart() -> None:
    hashes = np.array([fingerprint(picture(seed)).hashes[0] for seed in range(40)])
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None])[np.triu_indices(40, 1)]
    assert distances.min() > 10
    assert abs(distances.mean() - 31.5) < 2  # 63 independent bits


def test_a_picture_without_contrast_has_no_hash() -> None:
    assert fingerprint(np.full((40, 40, 3), 90, np.uint8)).hashes.tolist() == [0] * HASHES


def test_real_photos_survive_recompression_and_are_told_apart(real_data: Path) -> None:
    table = pq.read_table(real_data / "photos" / "photos.parquet").slice(0, 100)
    originals = [decode(data, DecodeLimits()) for data in table["image"].to_pylist()]
    prints = [fingerprint(original) for original in originals]
    for original, known in zip(originals[:40], prints, strict=False):
        copy = fingerprint(decode(encode_jpeg(original, 50), DecodeLimits()))
        assert np.bitwise_count(copy.hashes[0] ^ known.hashes[0]) <= 7
        assert similarity(copy.thumbnails, known.thumbnails) >= 0.94
    anchors = np.array([known.hashes[:ANCHORS] for known in prints])
    distances = np.bitwise_count(anchors[:, None, :, None] ^ anchors[None, :, None, :])
    assert distances.min(axis=(2, 3))[np.triu_indices(100, 1)].min() > 7


hashes_near_each_other = st.lists(
    st.builds(
        lambda base, flips: np.uint64(base ^ sum(1 << f for f in flips)),
        st.sampled_from([0, 0x0123456789ABCDEF, 2**64 - 1]),
        st.sets(st.integers(0, 63), max_size=14),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(queries=hashes_near_each_other, index=hashes_near_each_other, radius=st.integers(0, 9))
def test_the_search_by_bands_finds_what_comparing_all_pairs_finds(
    queries: list[np.uint64], index: list[np.uint64], radius: int
) -> None:
    one, other = np.array(queries), np.array(index)
    found = {
        (int(q), int(i), int(d))
        for piece in pairs_within(one, other, radius)
        for q, i, d in zip(*piece, strict=True)
    }
    assert found == all_pairs(one, other, radius)


def all_pairs(
    one: NDArray[np.uint64], other: NDArray[np.uint64], radius: int
) -> set[tuple[int, int, int]]:
    """Rows of both and distance, by comparing everything."""
    distances = np.bitwise_count(one[:, None] ^ other[None])
    return {(int(q), int(i), int(distances[q, i])) for q, i in np.argwhere(distances <= radius)}
