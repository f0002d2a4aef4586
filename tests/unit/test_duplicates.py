"""Groups of copies: who stays, who goes and why, whatever the order."""

import hashlib
import random
from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from hashnext.errors import ConfigError
from hashnext.images.decode import RGB, DecodeLimits, decode, encode_jpeg
from hashnext.shards.duplicates import DuplicatesConfig, find_removals
from hashnext.shards.identity import Pictures, as_thumbnails, identity


def picture(seed: int) -> RGB:
    """Smooth random blobs, 96 x 80 px."""
    noise = np.random.default_rng(seed).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(6)), float)
    spread = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    return np.rint(255 * spread).astype(np.uint8)


def pictures_of(images: Iterable[tuple[str, bytes]]) -> Pictures:
    """Pictures in memory, from ids and encoded images."""
    rows = [identity(name, data, decode(data, DecodeLimits())) for name, data in images]
    return Pictures(
        ids=[row["post_id"] for row in rows],
        digests=[row["sha256"] for row in rows],
        hashes=np.array([row["hashes"] for row in rows]),
        thumbnails=lambda wanted: {n: as_thumbnails(rows[n]["thumbnails"]) for n in wanted},
    )


POSTS = [
    ("a", encode_jpeg(picture(0))),
    ("b", encode_jpeg(picture(0), 60)),
    ("c", encode_jpeg(picture(0))),
    ("d", encode_jpeg(picture(1))),
    ("e", encode_jpeg(picture(2))),
    ("f", encode_jpeg(picture(2)[:, ::-1], 70)),
    ("g", encode_jpeg(np.full((80, 96, 3), 200, np.uint8))),
    ("h", encode_jpeg(np.full((80, 96, 3), 30, np.uint8))),
]
EVALUATION = [("test1", encode_jpeg(picture(1), 50)), ("test2", encode_jpeg(picture(7)))]


def outcome(
    posts: list[tuple[str, bytes]], config: DuplicatesConfig, evaluation: bool = False
) -> dict[str, tuple[str, str]]:
    """Removed post ids, with the reason and what they are copies of."""
    images = pictures_of([*posts, *(EVALUATION if evaluation else [])])
    removals = find_removals(images, len(posts), config)
    return {images.ids[each.row]: (each.reason, images.ids[each.kept]) for each in removals}


def test_the_smallest_id_of_a_group_stays_whatever_the_order() -> None:
    expected = {
        "b": ("near_duplicate", "a"),
        "c": ("exact_duplicate", "a"),
        "f": ("near_duplicate", "e"),
    }
    for seed in range(5):
        posts = random.Random(seed).sample(POSTS, len(POSTS))
        assert outcome(posts, DuplicatesConfig()) == expected


def test_only_what_is_asked_for_is_removed() -> None:
    assert outcome(POSTS, DuplicatesConfig(remove="none")) == {}
    exact = outcome(POSTS, DuplicatesConfig(remove="exact"))
    assert exact == {"c": ("exact_duplicate", "a")}


@pytest.mark.parametrize("remove", ["none", "exact", "near"])
def test_posts_that_show_an_evaluation_image_go(remove: str) -> None:
    found = outcome(POSTS, DuplicatesConfig(remove=remove), evaluation=True)  # type: ignore[arg-type]
    assert found["d"] == ("similar_to_evaluation", "test1")
    assert sum(reason == "similar_to_evaluation" for reason, _ in found.values()) == 1


@pytest.mark.parametrize("remove", ["none", "exact", "near"])
def test_copies_of_a_post_that_shows_an_evaluation_image_go_with_it(remove: str) -> None:
    posts = [*POSTS, ("z", POSTS[3][1])]
    config = DuplicatesConfig(remove=remove)  # type: ignore[arg-type]
    found = outcome(posts, config, evaluation=True)
    assert found["z"] == found["d"] == ("similar_to_evaluation", "test1")


def test_no_posts_at_all() -> None:
    images = Pictures(
        ids=["a"], digests=[hashlib.sha256(b"").digest()], hashes=np.zeros((1, 11), np.uint64),
        thumbnails=lambda wanted: {},
    )  # fmt: skip
    assert find_removals(images, 1, DuplicatesConfig()) == []


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"duplicates\.radius = 16"):
        DuplicatesConfig(radius=16)
    with pytest.raises(ConfigError, match=r"duplicates\.similarity"):
        DuplicatesConfig(similarity=0)
