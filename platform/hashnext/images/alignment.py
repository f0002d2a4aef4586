"""How well one thumbnail fits another, or a part of it: the second check on a suspected copy.

The score is the largest normalised correlation of grey values over small crops of either
thumbnail and over mirroring: 1 for the same picture, whatever its brightness and contrast.
"""

import numpy as np
from numpy.typing import NDArray

from hashnext.images.fingerprint import THUMBNAIL

PATCH = 16
"""Side that thumbnails and their parts are resampled to for comparing."""
SIDES = (1.0, 0.95, 0.9, 0.85)
"""Sides of the parts that are tried, relative to the thumbnail's."""
STEP = 0.025
"""Distance between the starts of the parts that are tried."""


def similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Largest correlation between any thumbnails of two pictures, -1 to 1.

    Args:
        first, second: uint8 (n, THUMBNAIL, THUMBNAIL), one or several views of each picture.
    """
    flipped = second[:, :, ::-1]
    return max(_of_parts(first, second), _of_parts(first, flipped))


def _of_parts(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Parts of either against the whole of the other."""
    parts = [_parts(each) for each in (first, second)]
    wholes = [each[: len(whole)] for each, whole in zip(parts, (first, second), strict=True)]
    return float(max((parts[0] @ wholes[1].T).max(), (parts[1] @ wholes[0].T).max()))


def _parts(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """All parts of all thumbnails, normalised: float32 (parts, PATCH * PATCH)."""
    rows = _RESAMPLE[:, None] @ thumbnails.astype(np.float32)[None]
    return _normalised(np.matmul(rows[:, None], _RESAMPLE.transpose(0, 2, 1)[None, :, None]))


def _normalised(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and length 1 each: float32 (..., PATCH, PATCH) to (n, PATCH * PATCH)."""
    flat = patches.reshape(-1, PATCH * PATCH)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    normalised: NDArray[np.float32] = flat / np.maximum(length, 1e-6)
    return normalised


def _intervals() -> list[tuple[float, float]]:
    """Start and side of the parts along one axis; the whole comes first."""
    return [(step * STEP, side) for side in SIDES for step in range(round((1 - side) / STEP) + 1)]


def _resampling(start: float, side: float) -> NDArray[np.float32]:
    """Area means of PATCH equal pieces of the interval: float32 (PATCH, THUMBNAIL)."""
    edges = (start + side * np.arange(PATCH + 1) / PATCH) * THUMBNAIL
    cells = np.arange(THUMBNAIL)
    low, high = edges[:-1, None], edges[1:, None]
    overlap = np.minimum(high, cells + 1) - np.maximum(low, cells)
    weights: NDArray[np.float32] = (np.clip(overlap, 0, None) / (high - low)).astype(np.float32)
    return weights


_RESAMPLE = np.stack([_resampling(start, side) for start, side in _intervals()])
"""float32 (intervals, PATCH, THUMBNAIL)."""
