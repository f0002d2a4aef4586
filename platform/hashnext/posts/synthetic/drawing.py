"""Pictures of concepts: shaded, anti-aliased, each with its own pose, colours and clutter."""

from collections.abc import Sequence
from functools import cache
from math import cos, radians, sin
from random import Random

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageEnhance, ImageFilter

from hashnext.posts.synthetic.concepts import Concept
from hashnext.posts.synthetic.primitives import Outlines, Point, star

OVERSAMPLING = 2
COLOURS = {
    "ink": "#2b2a3a", "white": "#f7f5ef", "cream": "#f6e7c1", "pale": "#efe3d0",
    "silver": "#c3c9d1", "mist": "#bfc4cf", "slate": "#6d7488", "bark": "#7c5539",
    "crust": "#d39a55", "sand": "#e8cb92", "gold": "#f5c542", "orange": "#f08a32",
    "coral": "#f07a66", "red": "#d8433f", "brick": "#b9583f", "pink": "#f2a2b4",
    "violet": "#8d6cc4", "leaf": "#6aa84f", "lime": "#b5d35c", "forest": "#2f7157",
    "teal": "#4fb3b0", "sea": "#3d85c0", "navy": "#2c5384", "glass": "#a5d3ea",
    "ice": "#e3f3fb", "sky": "#a9d6ee", "dusk": "#7d6ba0",
}  # fmt: skip
PAINTS = ("coral", "gold", "teal", "sea", "violet", "pink", "leaf", "red", "orange", "navy",
          "cream")  # fmt: skip
FURS = ("orange", "slate", "ink", "sand", "bark", "silver")
BACKDROPS = (
    ("#fbe9d7", "#f3b9a5"), ("#dff1f5", "#8fc0d9"), ("#e9f2d8", "#98bf8a"), ("#efe6f5", "#b3a0d4"),
    ("#fdf3cf", "#ecc583"), ("#e8e4de", "#a9a49c"), ("#5f6f94", "#2f3a5c"), ("#6f9486", "#2d4f4a"),
)  # fmt: skip
Colour = tuple[int, ...]


def draw(concepts: Sequence[Concept], sides: tuple[int, int], rng: Random) -> Image.Image:
    """A picture of one or more concepts, RGB, its sides in a range; all else comes from `rng`."""
    width, height = (rng.randint(*sides) * OVERSAMPLING for _ in "xy")
    canvas = _backdrop(width, height, rng)
    first = rng.uniform(0.3, 0.7)
    for index, concept in enumerate(sorted(concepts, key=lambda concept: concept.turn is not None)):
        if concept.turn is None:
            x, y, scale = 0.5, 0.5, rng.uniform(0.5, 0.65) * max(canvas.size)
        else:
            x, y = (first + index / len(concepts)) % 1, rng.uniform(0.35, 0.65)
            scale = rng.uniform(0.28, 0.48) * min(canvas.size) / (1.4 if len(concepts) > 1 else 1)
        _place(canvas, concept, (x * canvas.width, y * canvas.height), scale, rng)
    picture = canvas.reduce(OVERSAMPLING)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
        picture = enhance(picture).enhance(rng.uniform(0.85, 1.2))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.choice((0, 0, 0, 0, 0.6, 1.0))))
    grain = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    return Image.blend(picture, Image.merge("RGB", [grain] * 3), rng.uniform(0, 0.05))


def _place(canvas: Image.Image, concept: Concept, at: Point, scale: float, rng: Random) -> None:
    """Draw a concept around a point, `scale` pixels to its unit, in its own pose and colours."""
    turn, flip = radians(rng.uniform(-1, 1) * (concept.turn or 0)), rng.choice((-1, 1))
    wide, tall = flip * scale * rng.uniform(0.85, 1.15), scale * rng.uniform(0.85, 1.15)
    bend, phase = rng.uniform(-0.08, 0.08), rng.uniform(0, 6)
    paints = zip(("any", "other", "fur"), (*rng.sample(PAINTS, 2), rng.choice(FURS)), strict=True)
    drawn = COLOURS | {part: COLOURS[colour] for part, colour in paints}
    tint, strength = rng.choices(range(256), k=3), rng.uniform(0, 0.2)

    def placed(point: Point) -> Point:
        x, y = wide * (point[0] + bend * sin(2 * point[1] + phase)), tall * point[1]
        return at[0] + x * cos(turn) - y * sin(turn), at[1] + x * sin(turn) + y * cos(turn)

    parts = [(ImageColor.getrgb(drawn[colour]), [[*map(placed, outline)] for outline in outlines])
             for colour, outlines in concept.parts]  # fmt: skip
    if concept.turn is not None:
        _shadow(canvas, [outline for _, outlines in parts for outline in outlines], scale)
    for colour, outlines in parts:
        for outline in outlines:
            tone = rng.uniform(-0.1, 0.1) if concept.turn is None and len(outlines) > 9 else 0
            _fill(canvas, outline, _mixed(_mixed(colour, tint, strength), (43, 42, 58), tone))


def _fill(canvas: Image.Image, outline: list[Point], colour: Colour) -> None:
    """Fill an outline, lit from the upper left; small ones flat."""
    xs, ys = zip(*outline, strict=True)
    left, top = max(int(min(xs)), 0), max(int(min(ys)), 0)
    width = min(int(max(xs)) + 1, canvas.width) - left
    height = min(int(max(ys)) + 1, canvas.height) - top
    if min(width, height) < 8 * OVERSAMPLING:
        ImageDraw.Draw(canvas).polygon(outline, fill=colour)
        return
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=255)
    shape = Image.new("RGB", mask.size, _mixed(colour, (30, 20, 70), 0.3))
    shape.paste(_mixed(colour, (255, 250, 235), 0.3), mask=_light().resize(mask.size))
    canvas.paste(shape, (left, top), mask)


@cache
def _light() -> Image.Image:
    """Brightness over a shape, L 64 x 64: a soft highlight at the upper left."""
    return ImageChops.invert(Image.radial_gradient("L").crop((59, 69, 229, 240)).resize((64, 64)))


def _shadow(canvas: Image.Image, outlines: Outlines, scale: float) -> None:
    small = Image.new("L", (canvas.width // 6, canvas.height // 6))
    for outline in outlines:
        moved = [((x + 0.1 * scale) / 6, (y + 0.14 * scale) / 6) for x, y in outline]
        ImageDraw.Draw(small).polygon(moved, fill=90)
    soft = small.filter(ImageFilter.GaussianBlur(scale / 60)).resize(canvas.size)
    canvas.paste((35, 25, 60), mask=soft)


def _backdrop(width: int, height: int, rng: Random) -> Image.Image:
    """A gradient between two colours, out of focus, with or without clutter."""
    light, dark = map(ImageColor.getrgb, rng.choice(BACKDROPS))
    corners = Image.new("RGB", (2, 2))
    corners.putdata([_mixed(light, dark, rng.random()) for _ in range(4)])
    canvas = corners.resize((width, height), Image.Resampling.BICUBIC)
    for _ in range(rng.choice((0, 0, 3, 6, 12))):
        paint = ImageColor.getrgb(COLOURS[rng.choice(PAINTS)])
        colour = _mixed(light, paint, rng.uniform(0.1, 0.6))
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.16) * width
        ((*rim,),) = star(0, 0, rng.choice((3, 4, 5, 16)), 1, rng.uniform(0.5, 1))
        _fill(canvas, [(x + r * u, y + r * v) for u, v in rim], colour)
    return canvas.filter(ImageFilter.BoxBlur(rng.choice((1, 3))))


def _mixed(a: Sequence[int], b: Sequence[int], share: float) -> Colour:
    return tuple(min(255, max(0, int(p + (q - p) * share))) for p, q in zip(a, b, strict=True))
