"""Crops: inside the image, of the right size, and like torchvision's in distribution."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandomResizedCrop

from hashnext.images.crop import ATTEMPTS, centre_crop, crop, random_crop_box, resize_short_side


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


def test_a_box_of_the_whole_image_is_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert (crop(image, (0, 0, 32, 32), 32) == image).all()
