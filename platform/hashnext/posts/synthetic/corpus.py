"""The synthetic corpus: posts with their truth, and a labelled set to probe with.

Every row is a function of (seed, set, number) alone, so any number of processes gives the same
files, and no two sets share a picture.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image

from hashnext.posts.synthetic.concepts import CONCEPTS, Concept
from hashnext.posts.synthetic.drawing import draw
from hashnext.posts.synthetic.hashtags import write_hashtags

ISSUES = {
    "private": 0.03, "truncated": 0.01, "empty": 0.004, "not_image": 0.006,
    "exact_duplicate": 0.01, "near_duplicate": 0.015,
}  # fmt: skip
"""Share of the posts with each issue."""
FORMATS = {"JPEG": 0.9, "PNG": 0.04, "WEBP": 0.04, "GIF": 0.02}
ZIPF = 0.7
"""Exponent of the concepts' frequencies by rank."""
SIDES = (72, 120)
"""Range of a picture's sides, in pixels."""


@dataclass(frozen=True)
class Picture:
    """What a post shows, and the generator that goes on to draw and tag it."""

    concepts: list[Concept]
    rng: Random

    def render(self) -> Image.Image:
        """The picture, RGB."""
        size = self.rng.randint(*SIDES), self.rng.randint(*SIDES)
        return draw(self.concepts, size, self.rng)


def post(seed: int, number: int) -> dict[str, Any]:
    """A row of posts.parquet and truth.parquet: post_id, image, hashtags, public, wnid, issue."""
    issue, rng = _issue(seed, number)
    subject = number
    if "duplicate" in issue:
        earlier = (rng.randrange(number or 1) for _ in range(20))
        subject = next((n for n in earlier if not _issue(seed, n)[0]), number)
        issue = f"{issue}:{post_id(subject)}" if subject != number else ""
    picture = _picture(seed, subject)
    image = picture.render()
    return {
        "post_id": post_id(number),
        "image": _spoilt(_encoded(image, picture.rng, near="near" in issue), issue),
        "hashtags": write_hashtags(picture.concepts, rng),
        "public": issue != "private",
        "wnid": picture.concepts[0].wnid,
        "issue": issue,
    }


def labelled(seed: int, name: str, number: int) -> dict[str, Any]:
    """A row of the probe's set `name`: id, image, label, wnid; one concept, all equally likely."""
    rng = Random(f"{seed} {name} {number}")
    label = rng.randrange(len(CONCEPTS))
    image = Picture([CONCEPTS[label]], rng).render()
    return {
        "id": f"{name}{number:06d}", "image": _encoded(image, rng), "label": label,
        "wnid": CONCEPTS[label].wnid,
    }  # fmt: skip


def rows(make: Callable[[int], dict[str, Any]], start: int, stop: int) -> list[dict[str, Any]]:
    """Rows start..stop of a set: what one task draws."""
    return [make(number) for number in range(start, stop)]


def post_id(number: int) -> str:
    """Id of the post with this number."""
    return f"post{number:07d}"


def contact_sheet(images: Sequence[bytes], columns: int = 12, tile: int = 112) -> Image.Image:
    """Pictures side by side, cut to squares."""
    gap = 8
    rows = -(-len(images) // columns)
    size = columns * (tile + gap) + gap, rows * (tile + gap) + gap
    sheet = Image.new("RGB", size, "#fbfaf7")
    for place, data in enumerate(images):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        at = [gap + n * (tile + gap) for n in (place % columns, place // columns)]
        sheet.paste(square.resize((tile, tile), Image.Resampling.LANCZOS), (at[0], at[1]))
    return sheet


def _issue(seed: int, number: int) -> tuple[str, Random]:
    """What is wrong with a post, if anything, and the generator that goes on with it."""
    rng = Random(f"{seed} post {number}")
    shares = [*ISSUES.values(), 1 - sum(ISSUES.values())]
    return rng.choices([*ISSUES, ""], shares)[0], rng


def _picture(seed: int, number: int) -> Picture:
    """One to three concepts, drawn under Zipf's law."""
    rng = Random(f"{seed} picture {number}")
    weights = [rank**-ZIPF for rank in range(1, len(CONCEPTS) + 1)]
    count = rng.choices((1, 2, 3), (6, 3, 1))[0]
    chosen: list[Concept] = []
    while len(chosen) < count:
        (concept,) = rng.choices(CONCEPTS, weights)
        scenes = concept.turn is None and any(other.turn is None for other in chosen)
        if concept not in chosen and not scenes:
            chosen.append(concept)
    return Picture(chosen, rng)


def _encoded(image: Image.Image, rng: Random, near: bool = False) -> bytes:
    (kind,) = rng.choices([*FORMATS], [*FORMATS.values()])
    if near:
        image, kind = image.crop((2, 2, image.width - 2, image.height - 2)), "JPEG"
    stream = io.BytesIO()
    image.save(stream, kind, quality=60 if near else 88)
    return stream.getvalue()


def _spoilt(data: bytes, issue: str) -> bytes:
    if issue == "truncated":
        return data[: len(data) * 2 // 3]
    return {"empty": b"", "not_image": b"<html><title>404 Not Found</title></html>"}.get(
        issue, data
    )
