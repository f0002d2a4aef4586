"""Eight outlines that every synthetic picture is made of, and the mirror image of any.

An outline is closed, an array of points x + iy. Pictures span -10..10 both ways, y points down,
angles are degrees clockwise from the right.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.complex128]
Primitive = Callable[..., list[Outline]]


def disc(x: float, y: float, rx: float, ry: float = 0, tilt: float = 0) -> list[Outline]:
    """Ellipse with radii rx and ry (a circle when ry is 0)."""
    rim = _angle(np.linspace(0, 360, 33))
    return [complex(x, y) + (rx * rim.real + 1j * (ry or rx) * rim.imag) * _angle(tilt)]


def poly(*xy: float) -> list[Outline]:
    """Polygon through points given as x, y, x, y, ..."""
    return [np.array(xy, float).view(complex)]


def line(width: float, *xy: float) -> list[Outline]:
    """Stroke with round ends through the points."""
    points, cap = poly(*xy)[0], width / 2 * _angle(np.linspace(-90, 90, 9))
    ways = np.diff(points) / abs(np.diff(points)) * cap[:, None]
    return [*np.concatenate([points[1:] + ways, points[:-1] - ways]).T.copy()]


def arc(
    x: float, y: float, r: float, width: float, a: float = 180, b: float = 360, horned: int = 0
) -> list[Outline]:
    """Band around a circle from angle a to b, or with pointed ends; width 2r makes a sector."""
    share = np.linspace(0, 1, 33)
    spokes, half = _angle(a + share * (b - a)), width / 2 * np.sin(np.pi * share) ** horned
    return [complex(x, y) + np.concatenate([spokes * (r + half), (spokes * (r - half))[::-1]])]


def star(x: float, y: float, n: int, outer: float, inner: float) -> list[Outline]:
    """Star of n rays, the first one up."""
    radii = np.resize((outer, inner), 2 * n)
    return [complex(x, y) + radii * _angle(np.arange(2 * n) * 180 / n - 90)]


def petals(x: float, y: float, n: int, r: float, a: float, b: float = 0) -> list[Outline]:
    """n ellipses at distance r, a long and b wide, that point away from the centre."""
    spokes = _angle(np.arange(n) * 360 / n - 90)
    return [complex(x, y) + spoke * disc(r, 0, a, b)[0] for spoke in spokes]


def ridge(level: float, height: float = 0, waves: float = 0, phase: float = 0) -> list[Outline]:
    """Everything below a wavy line around y = level."""
    x = np.linspace(-13, 13, 79)
    top = 0.65 * np.sin(waves * x / 10 + phase) + 0.35 * np.sin(waves * x / 4)
    return [np.concatenate([x + 1j * (level - height * top), [13 + 12j, -13 + 12j]])]


def tiles(n: int, rx: float, ry: float, dx: float, dy: float) -> list[Outline]:
    """Wall of n-gons dx apart in rows dy apart, every other row moved by half."""
    corners = _angle((np.arange(n) + 0.5) * 360 / n)
    columns, rows = (range(-int(10 / step) - 2, int(10 / step) + 3) for step in (dx, dy))
    places = [(column + row % 2 / 2, row) for row in rows for column in columns]
    return [rx * corners.real + x * dx + 1j * (ry * corners.imag + y * dy) for x, y in places]


def pair(primitive: Primitive) -> Primitive:
    """The primitive together with its mirror image."""
    return lambda *at: [half for shape in primitive(*at) for half in (shape, -shape.conj())]


def _angle(degrees: float | NDArray[np.float64]) -> Outline:
    return np.exp(1j * np.radians(degrees))
