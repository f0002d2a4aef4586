"""What makes two pictures look the same: perceptual hashes and a small grey thumbnail.

A hash holds the signs of the 63 lowest DCT coefficients of the luminance (pHash: Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010; signs instead of the
comparison with their median, so that mirroring flips known bits). Copies differ in a few bits. A
copy may also be a part of its original or have bars around it, so a picture has several hashes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hashnext.images.decode import RGB

GRID = 48
"""Side of the grey picture that the hashes are computed from, in pixels."""
ENOUGH = 100
"""Short side of a grey picture that hashes like a larger one, in pixels."""
THUMBNAIL = 24
"""Side of the thumbnail, in pixels."""
FREQUENCIES = 8
"""DCT frequencies kept in each direction."""
ANCHORS = 2
"""The first hashes: the whole picture, and what is left without bars. The rest are its windows."""
WINDOWS = tuple((left, top) for left in (0.0, 0.05, 0.1) for top in (0.0, 0.05, 0.1))
"""Left and top of the windows, 90 % of the picture in each direction."""
WINDOW_SIDE = 0.9
HASHES = ANCHORS + len(WINDOWS)
MIRROR = np.uint64(0xAAAAAAAAAAAAAAAA)
"""Bits of odd horizontal frequency: exactly those that mirroring flips."""
MIN_CONTRAST = 4.0
"""Standard deviation in grey levels, below which the signs are those of noise."""
BAR_TOLERANCE = 10
"""Grey levels within which a pixel has the colour of the bar."""
BAR_EDGE, BAR_LINE = 0.95, 0.4
"""Share of a line in that colour: of the outermost line, and of each further one (text)."""

Basis = NDArray[np.float64]
Grey = NDArray[np.uint8]
"""(H, W)."""


@dataclass(frozen=True)
class Fingerprint:
    """A picture's hashes and thumbnails."""

    hashes: NDArray[np.uint64]
    """(HASHES,); all 0 for a picture without contrast, which looks like nothing else."""
    thumbnails: NDArray[np.uint8]
    """(ANCHORS, THUMBNAIL, THUMBNAIL) grey: whole, and without bars."""


def fingerprint(image: RGB) -> Fingerprint:
    """Fingerprint of uint8 (H, W, 3) RGB."""
    grey = _grey(image)
    left, top, right, bottom = content_box(grey)
    inside = grey[top:bottom, left:right]
    grids = [_grid(grey)] if inside.shape == grey.shape else [_grid(grey), _grid(inside)]
    whole, inner = grids[0], grids[-1]
    thumbnails = np.stack([_halved(grid) for grid in grids])[[0, -1]]
    if min(_contrast(grid) for grid in grids) < MIN_CONTRAST:
        return Fingerprint(np.zeros(HASHES, np.uint64), thumbnails)
    of_whole = _hashes(whole, _TOP, _LEFT)
    of_inner = _hashes(inner, _FULL, _FULL) if len(grids) > 1 else of_whole[:1]
    return Fingerprint(np.concatenate([of_whole[:1], of_inner, of_whole[1:]]), thumbnails)


def content_box(grey: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a grey (H, W) picture without uniform bars, with text or not.

    A picture of which less than a third of a side would be left keeps its bars.
    """
    height, width = grey.shape
    top, bottom = _bar(grey), height - _bar(grey[::-1])
    if bottom - top < height / 3:
        top, bottom = 0, height
    columns = grey[top:bottom].T
    left, right = _bar(columns), width - _bar(columns[::-1])
    if right - left < width / 3:
        left, right = 0, width
    return left, top, right, bottom


def _bar(lines: NDArray[np.uint8]) -> int:
    """Number of leading lines of (L, N) that belong to a bar in the colour of the first."""
    edge = np.ascontiguousarray(lines[0])
    low, high = _around(_median(edge))
    if np.count_nonzero((edge >= low) & (edge <= high)) < BAR_EDGE * len(edge):
        return 0
    near = np.count_nonzero((lines >= low) & (lines <= high), axis=1)
    outside = near < BAR_LINE * len(edge)
    return int(outside.argmax()) if outside.any() else len(lines)


def _median(line: NDArray[np.uint8]) -> int:
    """Whole part of the median of (N,); sorting bytes is ten times as fast as `np.median`."""
    ascending = np.sort(line)
    return (int(ascending[(len(line) - 1) // 2]) + int(ascending[len(line) // 2])) // 2


def _around(colour: int) -> tuple[int, int]:
    """The darkest and the lightest grey that is nearly this one."""
    return max(colour - BAR_TOLERANCE, 0), min(colour + BAR_TOLERANCE, 255)


def _grey(image: RGB) -> Grey:
    """Luminance, at half the size where that is more than the hashes need."""
    height, width = image.shape[:2]
    if min(height, width) >= 2 * ENOUGH:
        half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
        image = np.asarray(half, dtype=np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _grid(grey: Grey) -> NDArray[np.float64]:
    return np.asarray(cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float64)


def _halved(grid: NDArray[np.float64]) -> NDArray[np.uint8]:
    means = cv2.resize(grid, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.rint(means).astype(np.uint8)


def _contrast(grid: NDArray[np.float64]) -> float:
    """Standard deviation, in grey levels."""
    return float(cv2.meanStdDev(grid)[1][0, 0])


def _hashes(grid: NDArray[np.float64], top: Basis, left: Basis) -> NDArray[np.uint64]:
    """Signs of the DCT coefficients of n windows: (n,); bit 8 v + h is that of frequencies v, h.

    Args:
        grid: (GRID, GRID).
        top, left: vertical and horizontal basis of each window, (n, FREQUENCIES, GRID).
    """
    signs = top @ grid @ left.transpose(0, 2, 1) > 0
    signs[:, 0, 0] = False  # the mean is always positive
    packed = np.packbits(signs.reshape(len(signs), -1), axis=1, bitorder="little")
    return packed.view("<u8")[:, 0].astype(np.uint64)


def _cosines(start: float, side: float) -> Basis:
    """DCT-II basis (FREQUENCIES, GRID) over the window [start, start + side] of [0, 1]."""
    inside = np.clip(np.arange(GRID + 1) / GRID, start, start + side)
    share, centre = np.diff(inside), (inside[1:] + inside[:-1]) / 2
    frequency = np.arange(FREQUENCIES)[:, None]
    basis: Basis = share * np.cos(np.pi * frequency * (centre - start) / side)
    return basis


_FULL = _cosines(0, 1)[None]
_LEFT = np.stack([_FULL[0], *(_cosines(left, WINDOW_SIDE) for left, _ in WINDOWS)])
_TOP = np.stack([_FULL[0], *(_cosines(top, WINDOW_SIDE) for _, top in WINDOWS)])
"""Bases of the whole picture and its windows."""
