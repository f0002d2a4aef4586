"""Pictures of concepts: shaded, anti-aliased, each with its own pose, colours and clutter."""

from cmath import rect
from math import radians
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageEnhance, ImageFilter

from hashnext.posts.synthetic.concepts import Concept
from hashnext.posts.synthetic.primitives import Outline, star

SIDES = (72, 120)  # range of a picture's sides, in pixels
OVERSAMPLING = 2
COLOURS = {name: ImageColor.getrgb(code) for name, code in {
    "ink": "#2b2a3a", "white": "#f7f5ef", "cream": "#f6e7c1", "silver": "#c3c9d1", "sky": "#a9d6ee",
    "slate": "#6d7488", "bark": "#7c5539", "crust": "#d39a55", "sand": "#e8cb92", "gold": "#f5c542",
    "brick": "#b9583f", "red": "#d8433f", "coral": "#f07a66", "pink": "#f2a2b4", "lime": "#b5d35c",
    "leaf": "#6aa84f", "forest": "#2f7157", "teal": "#4fb3b0", "sea": "#3d85c0", "navy": "#2c5384",
    "orange": "#f08a32", "violet": "#8d6cc4",
}.items()}  # fmt: skip
PAINTS = ("coral", "gold", "teal", "violet", "leaf", "red", "navy", "orange", "pink", "sea", "lime")
FURS = ("orange", "slate", "ink", "sand", "bark", "silver")
# Brightness over a shape: a soft highlight at the upper left.
LIGHT = ImageChops.invert(Image.radial_gradient("L").crop((59, 69, 229, 240)))
Rgb = tuple[int, ...]


def draw(concepts: list[Concept], rng: Random) -> Image.Image:
    """A picture of one or more concepts, RGB; all that varies comes from `rng`."""
    width, height = (OVERSAMPLING * rng.randint(*SIDES) for _ in "xy")
    canvas = _backdrop(width // OVERSAMPLING, height // OVERSAMPLING, rng).resize((width, height))
    for index, concept in enumerate(sorted(concepts, key=lambda concept: concept.turn > 0)):
        x, y = (index + rng.uniform(0.35, 0.65)) / len(concepts), rng.uniform(0.35, 0.65)
        scale = rng.uniform(0.028, 0.048) * min(width, height) / len(concepts) ** 0.4
        if not concept.turn:
            x, y, scale = 0.5, 0.5, rng.uniform(0.05, 0.06) * max(width, height)
        _place(canvas, concept, complex(x * width, y * height), scale, rng)
    picture = canvas.reduce(OVERSAMPLING).filter(ImageFilter.GaussianBlur(rng.choice((0, 0, 0, 1))))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
        picture = enhance(picture).enhance(rng.uniform(0.85, 1.2))
    grain = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    return Image.blend(picture, grain.convert("RGB"), rng.uniform(0, 0.05))


def _place(canvas: Image.Image, concept: Concept, at: complex, scale: float, rng: Random) -> None:
    """Draw a concept around a point, `scale` pixels to its unit, in its own pose and colours."""
    turn = rect(scale, radians(rng.uniform(-1, 1) * concept.turn))
    wide, tall = rng.choice((-1, 1)) * rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15)
    bend, phase = rng.uniform(-0.8, 0.8), rng.uniform(0, 6)
    one, two = rng.sample(PAINTS, 2)
    chosen = {"any": one, "other": two, "fur": rng.choice(FURS)}
    tint, strength = tuple(rng.randbytes(3)), rng.uniform(0, 0.2)
    shapes: list[tuple[Outline, Rgb]] = []
    for primitive, name, *where in concept.parts:
        colour = _mixed(COLOURS[chosen.get(name, name)], tint, strength)
        for outline in primitive(*where):
            bent = outline + bend * np.sin(outline.imag / 5 + phase)
            tone = 0 if concept.turn else rng.uniform(0, 0.15)
            placed = at + turn * (wide * bent.real + 1j * tall * bent.imag)
            shapes.append((placed, _mixed(colour, (0, 0, 0), tone)))
    if concept.turn:
        _shadow(canvas, [outline for outline, _ in shapes], scale)
    for outline, colour in shapes:
        _fill(canvas, outline, colour)


def _fill(canvas: Image.Image, outline: Outline, colour: Rgb) -> None:
    """Fill an outline, lit from the upper left."""
    x, y = int(outline.real.min()), int(outline.imag.min())
    mask = Image.new("L", (int(outline.real.max()) + 1 - x, int(outline.imag.max()) + 1 - y))
    ImageDraw.Draw(mask).polygon((outline - complex(x, y)).view(float).tolist(), 255)
    canvas.paste(_mixed(colour, (30, 20, 70), 0.3), (x, y), mask)
    lit = ImageChops.multiply(mask, LIGHT.resize(mask.size, Image.Resampling.NEAREST))
    canvas.paste(_mixed(colour, (255, 250, 235), 0.3), (x, y), lit)


def _shadow(canvas: Image.Image, outlines: list[Outline], scale: float) -> None:
    small = Image.new("L", (canvas.width // 6, canvas.height // 6))
    for outline in outlines:
        moved = (outline + scale * (1 + 1.4j)) / 6
        ImageDraw.Draw(small).polygon(moved.view(float).tolist(), 90)
    soft = small.filter(ImageFilter.GaussianBlur(scale / 6)).resize(canvas.size)
    canvas.paste((35, 25, 60), mask=soft)


def _backdrop(width: int, height: int, rng: Random) -> Image.Image:
    """A gradient between two colours, out of focus, with or without clutter."""
    paint, ground = COLOURS[rng.choice(PAINTS)], COLOURS[rng.choice(("white", "white", "ink"))]
    light = _mixed(ground, paint, 0.15)
    canvas = Image.new("RGB", (width, height), _mixed(ground, paint, 0.45))
    corners = Image.frombytes("L", (2, 2), rng.randbytes(4))
    canvas.paste(light, mask=corners.resize(canvas.size, Image.Resampling.BICUBIC))
    for _ in range(rng.choice((0, 0, 3, 6, 12))):
        colour = _mixed(light, COLOURS[rng.choice(PAINTS)], rng.uniform(0.1, 0.6))
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.16) * width
        (rim,) = star(x, y, rng.choice((3, 4, 5, 16)), r, r * rng.uniform(0.5, 1))
        _fill(canvas, rim, colour)
    return canvas.filter(ImageFilter.BoxBlur(rng.choice((0.5, 1.5))))


def _mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    return tuple(int(p + (q - p) * share) for p, q in zip(a, b, strict=True))
