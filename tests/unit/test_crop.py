"""Crops: inside the image, of the right size, and like torchvision's in distribution."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import CenterCrop, RandomResizedCrop, Resize

from hashnext.evaluation.own_head import published_crop
from hashnext.images.crop import (
    ATTEMPTS,
    Box,
    centre_crop,
    crop,
    crop_quickly,
    random_crop_box,
    resize_and_crop,
    resize_short_side,
)
from hashnext.images.decode import DecodeLimits, decode, encode_jpeg, opened
from hashnext.images.region import MIN_SHRINK, decode_region, least_size


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 10_000))
def test_boxes_lie_inside_the_image(width: int, height: int, seed: int) -> None:
    draws = np.random.default_rng(seed).random((ATTEMPTS + 1, 2))
    left, top, right, bottom = random_crop_box(width, height, 0.08, draws)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_boxes_are_distributed_like_torchvisions() -> None:
    rng = np.random.default_rng(0)
    ours = [random_crop_box(120, 90, 0.08, rng.random((ATTEMPTS + 1, 2))) for _ in range(4000)]
    torch.manual_seed(0)
    blank = torch.zeros(3, 90, 120)
    theirs = [RandomResizedCrop.get_params(blank, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)]
    our_sides = np.array([(right - left, bottom - top) for left, top, right, bottom in ours])
    their_sides = np.array([(width, height) for _, _, height, width in theirs])
    error = 5 * their_sides.std(axis=0) / 4000**0.5 * 2**0.5
    assert (np.abs(our_sides.mean(axis=0) - their_sides.mean(axis=0)) < error).all()


def test_shrinking_keeps_the_aspect_and_never_enlarges() -> None:
    image = np.zeros((300, 600, 3), dtype=np.uint8)
    assert resize_short_side(image, 100).shape == (100, 200, 3)
    assert resize_short_side(image, 400) is image
    assert resize_short_side(np.zeros((2, 900, 3), np.uint8), 1).shape == (1, 450, 3)


def test_the_centre_crop_is_central() -> None:
    image = np.zeros((80, 160, 3), dtype=np.uint8)
    image[:, 45:115] = 255  # the central 70 of 160 columns: 87.5 % of the short side
    cropped = centre_crop(image, 64)
    assert cropped.shape == (64, 64, 3)
    assert cropped.min() > 200


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 10_000))
def test_the_quick_crop_shows_what_the_exact_one_shows(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    image = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    box = random_crop_box(width, height, 0.08, rng.random((ATTEMPTS + 1, 2)))
    quick, exact = crop_quickly(image, box, 32), crop(image, box, 32)
    assert quick.shape == exact.shape == (32, 32, 3)
    if min(width, height) > 40:  # smaller boxes have edges that the two treat differently
        assert np.abs(quick.astype(int) - exact).mean() < 4


def test_the_quick_crop_of_a_fine_pattern_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(crop_quickly(stripes, (0, 0, 256, 256), 64)[..., 0].astype(int)) < 8
    assert crop_quickly(stripes, (3.7, 5.2, 3.9, 5.4), 16).shape == (16, 16, 3)


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([(56, 0.875), (64, 1.0)]))
def test_two_steps_are_torchvisions(width: int, height: int, crop: tuple[int, float]) -> None:
    size, fraction = crop
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    theirs = CenterCrop(size)(Resize(round(size / fraction))(Image.fromarray(image)))
    assert (resize_and_crop(image, size, fraction) == np.asarray(theirs)).all()


def test_real_photos_are_cropped_as_torchvision_crops_them(real_data: Path) -> None:
    photos = pq.ParquetFile(real_data / "photos" / "photos.parquet")
    batch = next(photos.iter_batches(20, columns=["image"]))
    for data in batch.column("image").to_pylist():
        theirs = CenterCrop(112)(Resize(128)(Image.open(io.BytesIO(data)).convert("RGB")))
        assert (published_crop(data, 112, 0.875) == np.asarray(theirs)).all()


def test_a_box_of_the_whole_image_is_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert (crop(image, (0, 0, 32, 32), 32) == image).all()


def waves(width: int, height: int) -> np.ndarray:
    """A smooth picture, which loses little by JPEG or by scaling."""
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 4, height))
    bands = [127 + 120 * np.sin(x + y), 127 + 120 * np.cos(x), 127 + 120 * np.sin(y)]
    return np.stack(bands, axis=2).astype(np.uint8)


@settings(max_examples=60)
@given(
    st.integers(20, 900), st.integers(20, 900), st.integers(8, 128), st.floats(0.05, 1),
    st.integers(0, 999),
)  # fmt: skip
def test_a_reduced_box_is_never_smaller_than_the_output(
    width: int, height: int, size: int, min_area: float, seed: int
) -> None:
    box = random_crop_box(width, height, min_area, np.random.default_rng(seed).random((11, 2)))
    least = least_size(width, height, box, size)
    across, down = (box[2] - box[0]) / size, (box[3] - box[1]) / size
    if least is None:
        assert min(across, down) < MIN_SHRINK * 1.1, "else it could have been reduced"
        return
    data = encode_jpeg(np.zeros((height, width, 3), dtype=np.uint8))
    with opened(data, DecodeLimits()) as picture:
        found = picture.pixels(least, MIN_SHRINK)
    assert found.shape[0] * MIN_SHRINK <= height + 1
    assert found.shape[1] * MIN_SHRINK <= width + 1
    assert (box[2] - box[0]) * found.shape[1] / width >= size
    assert (box[3] - box[1]) * found.shape[0] / height >= size


def test_a_crop_shows_the_same_at_every_scale() -> None:
    data = encode_jpeg(waves(1200, 900), 95)
    full = decode(data, DecodeLimits())
    boxes: list[Box] = [(0, 0, 1200, 900), (100, 50, 900, 800), (600, 400, 800, 560)]
    for box in boxes:
        found = decode_region(data, DecodeLimits(), lambda *_, box=box: box, 64)
        difference = np.abs(found.astype(int) - crop(full, box, 64).astype(int))
        assert difference.max() <= 8


def test_a_turned_photo_is_measured_upright() -> None:
    upright = waves(400, 800)
    image = Image.fromarray(np.rot90(upright))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95, exif=exif)
    sizes: list[tuple[int, int]] = []

    def box(width: int, height: int) -> Box:
        sizes.append((width, height))
        return (0, 0, width, height / 2)

    found = decode_region(stream.getvalue(), DecodeLimits(), box, 64)
    assert sizes == [(400, 800)]
    difference = np.abs(found.astype(int) - crop(upright, (0, 0, 400, 400), 64).astype(int))
    assert difference.max() <= 10
