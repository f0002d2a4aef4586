"""How many re-posted photos are recognised, by what was done to them, and false ones among 100,000.

Recall: 1,000 real photos and one changed copy of each, saved as JPEG of quality 80; a copy counts
as recognised when it is removed for the sake of its own original, with default settings.

False removals: 100,000 pictures of which no two show the same: real photos (posts of tinygram that
its truth does not call copies, both sets of the transfer probe, `photos`, `food_tagged`), and, to
reach the number, tiles of them that do not overlap, 4 of a 64 px photo and 12 of a larger one.
Tiles of one photo, say of one sky, resemble each other more than photos do, so that they are
counted apart. Photos that are in fact copies of each other count as false, too. From the root:

    uv run -m tests.benchmarks.duplicates [--photos 1000] [--pictures 100000]
"""

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro
from PIL import Image, ImageDraw, ImageEnhance

from hashnext.images.decode import RGB, DecodeLimits, ImageRejected, decode
from hashnext.settings import test_data
from hashnext.shards.duplicates import DuplicatesConfig, find_removals
from hashnext.shards.identity import IDENTITY_SCHEMA, Pictures, as_thumbnails, identity
from hashnext.shards.identity import pictures as collected

Picture = Image.Image
Change = Callable[[Picture, np.random.Generator], Picture]


def crop(image: Picture, rng: np.random.Generator) -> Picture:
    """90 % of each side, anywhere."""
    width, height = (round(0.9 * side) for side in image.size)
    left = rng.integers(image.width - width + 1)
    top = rng.integers(image.height - height + 1)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))


def mirror(image: Picture, rng: np.random.Generator) -> Picture:
    """Left and right exchanged."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def border(image: Picture, rng: np.random.Generator) -> Picture:
    """A frame of 6 % of the short side, white or black."""
    wide = round(0.06 * min(image.size))
    size = image.width + 2 * wide, image.height + 2 * wide
    framed = Image.new("RGB", size, ["white", "black"][rng.integers(2)])
    framed.paste(image, (wide, wide))
    return framed


def caption(image: Picture, rng: np.random.Generator) -> Picture:
    """A white bar of 15 % of the height with a line of text, above or below."""
    high, above = round(0.15 * image.height), rng.random() < 0.5
    barred = Image.new("RGB", (image.width, image.height + high), "white")
    barred.paste(image, (0, high if above else 0))
    place = 5, (0 if above else image.height) + high // 4
    ImageDraw.Draw(barred).text(place, "when you finally find it", "black", font_size=high // 2)
    return barred


def brightness(image: Picture, rng: np.random.Generator) -> Picture:
    """30 % darker or brighter."""
    return ImageEnhance.Brightness(image).enhance([0.7, 1.3][rng.integers(2)])


def screenshot(image: Picture, rng: np.random.Generator) -> Picture:
    """As wide as a telephone's black screen of 360 x 640, with a clock above and text below."""
    screen = Image.new("RGB", (360, 640), "black")
    height = round(image.height * 360 / image.width)
    screen.paste(image.resize((360, height)), (0, (640 - height) // 2))
    draw = ImageDraw.Draw(screen)
    for place, text in (((10, 8), "9:41"), ((60, 600), "Liked by 214 others")):
        draw.text(place, text, "white", font_size=14)
    return screen


def recompression(image: Picture, rng: np.random.Generator) -> Picture:
    """Shrunk to three quarters and saved as JPEG of quality 40."""
    small = image.resize((image.width * 3 // 4, image.height * 3 // 4))
    return reopened(small, 40)


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (crop, mirror, border, caption, brightness, screenshot, recompression)
}
WHAT = {name: str(change.__doc__).rstrip(".") for name, change in CHANGES.items()}
KINDS = ("photos", "parts of photos", "parts of one photo")


@dataclass(frozen=True)
class Benchmark:
    """Sizes."""

    photos: int = 1000
    """Photos of which copies are made."""
    pictures: int = 100_000
    """Different pictures."""
    radius: int = DuplicatesConfig().radius
    """See `DuplicatesConfig`."""
    similarity: float = DuplicatesConfig().similarity
    """See `DuplicatesConfig`."""


def main(sizes: Benchmark) -> None:
    """Measure both and print."""
    config = DuplicatesConfig(radius=sizes.radius, similarity=sizes.similarity)
    recall(sizes.photos, config)
    false_removals(sizes.pictures, config)


def recall(count: int, config: DuplicatesConfig) -> None:
    """Print a table of the share of recognised copies for each change."""
    print("| change | recognised |\n|---|---|")
    photos = [
        Image.fromarray(image) for _, image in islice(decoded("photos/photos.parquet"), count)
    ]
    originals = [known(f"a{n}", np.asarray(photo)) for n, photo in enumerate(photos)]
    for name, change in CHANGES.items():
        rng = np.random.default_rng(0)
        copies = [
            known(f"b{n}", np.asarray(reopened(change(photo, rng), 80)))
            for n, photo in enumerate(photos)
        ]
        images = pictures([*originals, *copies])
        removals = find_removals(images, len(images), config)
        right = sum(each.row == each.kept + len(photos) for each in removals)
        print(f"| {name}: {WHAT[name]} | {100 * right / len(photos):.1f} % |", flush=True)


def false_removals(count: int, config: DuplicatesConfig) -> None:
    """Print how many of different pictures would be removed, and how long that took."""
    started = time.monotonic()
    rows = [known(name, image) for name, image in islice(different(), count)]
    described = time.monotonic()
    images = pictures(rows)
    removals = find_removals(images, len(images), config)
    done = time.monotonic()
    kinds = Counter(
        kind(*(images.ids[row].as_py() for row in (each.row, each.kept))) for each in removals
    )
    print(f"\n| of {len(images):,} different pictures | removed as copies |\n|---|---|")
    for name in KINDS:
        print(f"| {name} | {kinds[name]:,} |")
    for each in removals:
        print(f"  {images.ids[each.row]} for {images.ids[each.kept]}, {each.distance} bits apart")
    print(
        f"decoding and hashes {1000 * (described - started) / len(images):.2f} ms a picture, "
        f"search {done - described:.1f} s in all"
    )


def kind(first: str, second: str) -> str:
    """What a pair consists of; ids of tiles end in '#' and a number."""
    one, other = (name.partition("#")[0] for name in (first, second))
    whole, of_photos, of_one = KINDS
    if one == other:
        return of_one
    return of_photos if "#" in first + second else whole


def different() -> Iterator[tuple[str, RGB]]:
    """Photos, then their tiles."""
    yield from photos_once()
    for name, image in photos_once():
        rows, columns = (2, 2) if min(image.shape[:2]) < 128 else (3, 4)
        height, width = image.shape[0] // rows, image.shape[1] // columns
        for n in range(rows * columns):
            top, left = n // columns * height, n % columns * width
            tile = image[top : top + height, left : left + width]
            yield f"{name}#{n}", np.ascontiguousarray(tile)


def photos_once() -> Iterator[tuple[str, RGB]]:
    """Real photos without those that are known to be copies."""
    truth = pq.read_table(test_data() / "tinygram" / "truth.parquet").to_pylist()
    copies = {row["post_id"] for row in truth if is_copy(row["issue"] or "")}
    for file in ("tinygram/posts", "transfer/tiny_imagenet_train", "transfer/tiny_imagenet_test",
                 "photos/photos", "food_tagged/food_tagged"):  # fmt: skip
        for name, image in decoded(f"{file}.parquet"):
            if name not in copies:
                yield f"{Path(file).name}/{name}", image


def is_copy(issue: str) -> bool:
    """Whether the truth calls a post a copy."""
    return issue.partition(":")[0] in ("exact_duplicate", "near_duplicate", "eval_leak")


def decoded(file: str) -> Iterator[tuple[str, RGB]]:
    """Id, or number, and picture of every row that can be decoded."""
    number = 0
    for batch in pq.ParquetFile(test_data() / file).iter_batches(256):
        for row in batch.to_pylist():
            number += 1
            try:
                image = decode(row["image"], DecodeLimits())
            except ImageRejected:
                continue
            yield str(row.get("id", row.get("post_id", number))), image


def reopened(image: Picture, quality: int) -> Picture:
    """The picture after saving it as JPEG."""
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=quality)
    return Image.open(sink).convert("RGB")


def known(name: str, image: RGB) -> dict[str, Any]:
    """What a picture is known by; its pixels stand for its bytes."""
    return identity(name, image.tobytes(), image)


def pictures(rows: list[dict[str, Any]]) -> Pictures:
    """Pictures in memory."""
    return collected(
        pa.Table.from_pylist(rows, IDENTITY_SCHEMA),
        lambda wanted: {n: as_thumbnails(rows[n]["thumbnails"]) for n in wanted},
    )


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
