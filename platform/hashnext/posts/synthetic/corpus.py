"""The synthetic corpus: posts with their truth, and a labelled set to probe with.

Every row is a function of (seed, set, number) alone, so any number of processes gives the same
files, and no two sets share a picture.
"""

import io
from random import Random
from typing import Any

from PIL import Image

from hashnext.posts.synthetic.concepts import CONCEPTS, Concept
from hashnext.posts.synthetic.drawing import draw
from hashnext.posts.synthetic.hashtags import write_hashtags

ISSUES = {  # shares of the posts
    "private": 0.03, "truncated": 0.01, "empty": 0.004, "not_image": 0.006,
    "exact_duplicate": 0.01, "near_duplicate": 0.015,
}  # fmt: skip
FORMATS = {"JPEG": 0.9, "PNG": 0.04, "WEBP": 0.04, "GIF": 0.02}
ZIPF = 0.7  # exponent of the concepts' frequencies by rank


def post(seed: int, number: int) -> dict[str, Any]:
    """A row of posts.parquet and truth.parquet: post_id, image, hashtags, public, wnid, issue."""
    issue, rng = _issue(seed, number)
    subject = number
    if "duplicate" in issue:
        earlier = (rng.randrange(number or 1) for _ in range(20))
        subject = next((n for n in earlier if not _issue(seed, n)[0]), number)
        issue = f"{issue}:post{subject:07d}" if subject != number else ""
    artist = Random(f"{seed} picture {subject}")
    concepts = _chosen(artist)
    return {
        "post_id": f"post{number:07d}", "image": _file(draw(concepts, artist), artist, issue),
        "hashtags": write_hashtags(concepts, rng), "public": issue != "private",
        "wnid": concepts[0].wnid, "issue": issue,
    }  # fmt: skip


def labelled(seed: int, name: str, number: int) -> dict[str, Any]:
    """A row of the probe's set `name`: id, image, label, wnid; one concept, all equally likely."""
    rng = Random(f"{seed} {name} {number}")
    label = rng.randrange(len(CONCEPTS))
    concept, row = CONCEPTS[label], f"{name}{number:06d}"
    image = _file(draw([concept], rng), rng)
    return {"id": row, "image": image, "label": label, "wnid": concept.wnid}


def _issue(seed: int, number: int) -> tuple[str, Random]:
    """What is wrong with a post, if anything, and the generator that goes on with it."""
    rng = Random(f"{seed} post {number}")
    return rng.choices([*ISSUES, ""], [*ISSUES.values(), 1 - sum(ISSUES.values())])[0], rng


def _chosen(rng: Random) -> list[Concept]:
    """One to three concepts under Zipf's law, at most one of them a scene."""
    # The greatest of u ** (1 / weight) are a weighted sample without repetition.
    order = sorted(enumerate(CONCEPTS, 1), key=lambda row: -(rng.random() ** row[0] ** ZIPF))
    chosen = [concept for _, concept in order[: rng.choices((1, 2, 3), (6, 3, 1))[0]]]
    scenes = [concept for concept in chosen if not concept.turn]
    return [concept for concept in chosen if concept not in scenes[1:]]


def _file(image: Image.Image, rng: Random, issue: str = "") -> bytes:
    """The picture in one of the formats, with what the issue does to it."""
    (kind,), quality = rng.choices([*FORMATS], [*FORMATS.values()]), 88
    if issue.startswith("near"):
        image, kind, quality = image.crop((2, 2, image.width - 2, image.height - 2)), "JPEG", 60
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality)
    data = stream.getvalue()
    spoilt = {"truncated": data[: len(data) * 2 // 3], "empty": b"", "not_image": b"<html>404"}
    return spoilt.get(issue, data)
