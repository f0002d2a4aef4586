"""The outlines that every synthetic picture is made of.

A primitive maps its parameters to closed outlines. Pictures span [-1, 1] x [-1, 1], y points down,
angles are degrees clockwise from the right.
"""

from math import cos, pi, radians, sin, sqrt

Point = tuple[float, float]
Outlines = list[list[Point]]


def disc(x: float, y: float, rx: float, ry: float = 0, tilt: float = 0) -> Outlines:
    """Ellipse with radii rx and ry (a circle when ry is 0)."""
    c, s = cos(radians(tilt)), sin(radians(tilt))
    rim = [(rx * cos(pi * i / 16), (ry or rx) * sin(pi * i / 16)) for i in range(32)]
    return [[(x + u * c - v * s, y + u * s + v * c) for u, v in rim]]


def poly(*xy: float) -> Outlines:
    """Polygon through points given as x, y, x, y, ..."""
    return [list(zip(xy[::2], xy[1::2], strict=True))]


def blob(*xy: float) -> Outlines:
    """Smooth closed curve through the points: a Catmull-Rom spline, 6 steps a point."""
    n, ends = len(xy), range(0, len(xy), 2)
    quads = [[[xy[(i + 2 * k + axis) % n] for k in range(4)] for axis in (0, 1)] for i in ends]
    return [[(_spline(x, t / 6), _spline(y, t / 6)) for x, y in quads for t in range(6)]]


def _spline(points: list[float], t: float) -> float:
    p, q, r, s = points
    return q + t / 2 * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)))


def line(width: float, *xy: float) -> Outlines:
    """Stroke with round ends through the points."""
    ((start, *rest),) = poly(*xy)
    strokes = disc(*start, width / 2)
    for x, y in rest:
        u, v = x - start[0], y - start[1]
        u, v = -v * width / 2 / sqrt(u * u + v * v), u * width / 2 / sqrt(u * u + v * v)
        ends = ((start, 1), ((x, y), 1), ((x, y), -1), (start, -1))
        strokes += [[(a + side * u, b + side * v) for (a, b), side in ends], *disc(x, y, width / 2)]
        start = (x, y)
    return strokes


def arc(
    x: float, y: float, r: float, width: float, start: float, stop: float, taper: float = 0
) -> Outlines:
    """Band around a circle; width 2r makes a sector, taper 1 points the ends."""
    steps = [(radians(start + i / 30 * (stop - start)), sin(pi * i / 30)) for i in range(31)]
    reach = [(angle, width / 2 * (1 - taper + taper * share)) for angle, share in steps]
    sides = [(a, r + w) for a, w in reach] + [(a, r - w) for a, w in reversed(reach)]
    return [[(x + d * cos(a), y + d * sin(a)) for a, d in sides]]


def star(x: float, y: float, n: float, outer: float, inner: float) -> Outlines:
    """Star of n rays, the first one up."""
    radii = [(outer, inner)[i % 2] for i in range(2 * int(n))]
    return [[(x + r * sin(pi * i / n), y - r * cos(pi * i / n)) for i, r in enumerate(radii)]]


def petals(x: float, y: float, n: float, r: float, length: float, width: float) -> Outlines:
    """n ellipses at distance r that point away from the centre."""
    turns = [2 * pi * i / n for i in range(int(n))]
    return [disc(x + r * sin(a), y - r * cos(a), width, length, a * 180 / pi)[0] for a in turns]


def dots(x: float, y: float, rx: float, ry: float, n: float, size: float) -> Outlines:
    """n circles spread evenly over an ellipse, as seeds in a sunflower: a golden angle apart."""
    spread = [(sqrt((i + 0.5) / n), i * 2.39996) for i in range(int(n))]
    return [disc(x + rx * d * cos(a), y + ry * d * sin(a), size)[0] for d, a in spread]


def ridge(level: float, height: float, waves: float, phase: float, sharp: float = 0) -> Outlines:
    """Everything below a wavy line around y = level; sharp 1 makes peaks of the waves."""
    turns = [(i / 20 - 3, waves * (i / 20 - 3) + phase) for i in range(121)]
    tops = [(x, 0.65 * (1 - 2 * abs(sin(a)) if sharp else sin(a)) + 0.35 * sin(2.3 * a))
            for x, a in turns]  # fmt: skip
    return [[*((x, level - height * top) for x, top in tops), (3, 3), (-3, 3)]]


def tiles(width: float, height: float, dx: float, dy: float, corners: float = 4) -> Outlines:
    """Wall of rectangles or hexagons dx apart in rows dy apart, every other row moved by half."""
    angles = [(i + 0.5) * 2 * pi / corners + (corners == 6) * pi / 6 for i in range(int(corners))]
    shape = [(width * sin(a) / sqrt(2 if corners == 4 else 3), height * cos(a)) for a in angles]
    shape = [(u, v / (sqrt(2) if corners == 4 else 2)) for u, v in shape]
    rows = [(row, row % 2 / 2 * dx) for row in range(int(-2 / dy), int(2 / dy) + 1)]
    centres = [(shift + k * dx, row * dy) for row, shift in rows for k in range(int(-2 / dx), 8)]
    return [[(x + u, y + v) for u, v in shape] for x, y in centres]
