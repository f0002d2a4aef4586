"""The synthetic corpus: posts with their truth, and a labelled set to probe with.

Every row is a function of (seed, set, number) alone, so any number of processes gives the same
files, and no two sets share a picture.
"""

import io
from collections.abc import Callable
from random import Random
from typing import Any

from PIL import Image

from hashnext.posts.synthetic.concepts import Concept, concepts
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


def post(seed: int, number: int) -> dict[str, Any]:
    """A row of posts.parquet and truth.parquet: post_id, image, hashtags, public, wnid, issue."""
    (issue, rng), subject = _issue(seed, number), number
    if "duplicate" in issue:
        earlier = (rng.randrange(number or 1) for _ in range(20))
        subject = next((n for n in earlier if not _issue(seed, n)[0]), number)
        issue = f"{issue}:{post_id(subject)}" if subject != number else ""
    brush = Random(f"{seed} picture {subject}")
    shown = _shown(brush)
    image = _encoded(draw(shown, SIDES, brush), brush, near="near" in issue)
    spoilt = {"truncated": image[: len(image) * 2 // 3], "empty": b"",
              "not_image": b"<html><title>404 Not Found</title></html>"}  # fmt: skip
    return {
        "post_id": post_id(number), "image": spoilt.get(issue, image),
        "hashtags": write_hashtags(shown, rng), "public": issue != "private",
        "wnid": shown[0].wnid, "issue": issue,
    }  # fmt: skip


def labelled(seed: int, name: str, number: int) -> dict[str, Any]:
    """A row of the probe's set `name`: id, image, label, wnid; one concept, all equally likely."""
    rng = Random(f"{seed} {name} {number}")
    label = rng.randrange(len(concepts()))
    concept = concepts()[label]
    image = _encoded(draw([concept], SIDES, rng), rng)
    return {"id": f"{name}{number:06d}", "image": image, "label": label, "wnid": concept.wnid}


def rows(make: Callable[[int], dict[str, Any]], start: int, stop: int) -> list[dict[str, Any]]:
    """Rows start..stop of a set: what one task draws."""
    return [make(number) for number in range(start, stop)]


def post_id(number: int) -> str:
    """Id of the post with this number."""
    return f"post{number:07d}"


def _issue(seed: int, number: int) -> tuple[str, Random]:
    """What is wrong with a post, if anything, and the generator that goes on with it."""
    rng = Random(f"{seed} post {number}")
    return rng.choices([*ISSUES, ""], [*ISSUES.values(), 1 - sum(ISSUES.values())])[0], rng


def _shown(rng: Random) -> list[Concept]:
    """One to three concepts under Zipf's law, at most one of them a scene."""
    weights = [rank**-ZIPF for rank in range(1, len(concepts()) + 1)]
    (count,) = rng.choices((1, 2, 3), (6, 3, 1))
    chosen: list[Concept] = []
    while len(chosen) < count:
        (concept,) = rng.choices(concepts(), weights)
        scenes = concept.turn is None and any(other.turn is None for other in chosen)
        if concept not in chosen and not scenes:
            chosen.append(concept)
    return chosen


def _encoded(image: Image.Image, rng: Random, near: bool = False) -> bytes:
    (kind,) = rng.choices([*FORMATS], [*FORMATS.values()])
    if near:
        image, kind = image.crop((2, 2, image.width - 2, image.height - 2)), "JPEG"
    stream = io.BytesIO()
    image.save(stream, kind, quality=60 if near else 88)
    return stream.getvalue()
