"""Groups of copies: who stays, who goes and why, whatever the order."""

import random
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from hashnext.errors import ConfigError
from hashnext.images.alignment import similarity
from hashnext.images.decode import RGB, DecodeLimits, decode, encode_jpeg
from hashnext.shards.duplicates import DuplicatesConfig, alike, find_removals
from hashnext.shards.groups import Groups
from hashnext.shards.identity import (
    IDENTITY_SCHEMA,
    Pictures,
    Thumbnails,
    as_thumbnails,
    identity,
    pictures,
)


def picture(seed: int) -> RGB:
    """Smooth random blobs, 96 x 80 px."""
    noise = np.random.default_rng(seed).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(6)), float)
    spread = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    return np.rint(255 * spread).astype(np.uint8)


def pictures_of(images: Iterable[tuple[str, bytes]]) -> Pictures:
    """Pictures in memory, from ids and encoded images."""
    rows = [identity(name, data, decode(data, DecodeLimits())) for name, data in images]
    table = pa.Table.from_pylist(rows, IDENTITY_SCHEMA)
    return pictures(table, lambda wanted: {n: as_thumbnails(rows[n]["thumbnails"]) for n in wanted})


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
    ids = images.ids.to_pylist()
    return {ids[each.row]: (each.reason, ids[each.kept]) for each in removals}


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
    grey = pictures_of(POSTS[-1:])
    assert not grey.hashes.any()
    assert find_removals(grey, 1, DuplicatesConfig()) == []
    nothing = pictures(IDENTITY_SCHEMA.empty_table(), lambda wanted: {})
    assert find_removals(nothing, 0, DuplicatesConfig()) == []


def test_a_picture_posted_often_is_compared_about_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    posts = [(f"p{n}", encode_jpeg(picture(0), 95 - n)) for n in range(40)]
    compared = []

    def counted(first: Thumbnails, second: Thumbnails) -> float:
        compared.append(1)
        return similarity(first, second)

    monkeypatch.setattr("hashnext.shards.duplicates.similarity", counted)
    monkeypatch.setattr("hashnext.shards.duplicates.COMPARED_AT_ONCE", 7)
    found = outcome(posts, DuplicatesConfig())
    assert found == {name: ("near_duplicate", "p0") for name, _ in posts[1:]}
    assert len(compared) == len(posts) - 1


def test_the_groups_do_not_depend_on_how_many_pairs_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = outcome(POSTS, DuplicatesConfig(), evaluation=True)
    assert len(expected) == 4
    monkeypatch.setattr("hashnext.shards.duplicates.COMPARED_AT_ONCE", 1)
    monkeypatch.setattr("hashnext.shards.duplicates.SUSPECTS_AT_ONCE", 1)
    assert outcome(POSTS, DuplicatesConfig(), evaluation=True) == expected


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29))))
def test_groups_are_the_connected_components(size: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(one % size, other % size) for one, other in pairs]
    groups, colour = Groups(np.arange(size)), list(range(size))
    for one, other in pairs:
        assert groups.apart(np.array([one]), np.array([other])) == [colour[one] != colour[other]]
        groups.join(one, other)
        old, new = sorted((colour[one], colour[other]))[::-1]
        colour = [new if each == old else each for each in colour]
        assert groups.root(one) == new
    sets = [[row for row in range(size) if colour[row] == each] for each in sorted(set(colour))]
    assert groups.larger_than_one() == [rows for rows in sets if len(rows) > 1]


@pytest.mark.parametrize("remove", ["none", "exact", "near"])
def test_only_posts_beside_evaluation_images_are_alike(remove: str) -> None:
    images = pictures_of([*POSTS, *EVALUATION, ("test3", POSTS[0][1])])
    config = DuplicatesConfig(remove=remove)  # type: ignore[arg-type]
    ids = images.ids.to_pylist()
    found = [(ids[low], ids[high]) for low, high in alike(images, len(POSTS), config)]
    assert found == [("a", "test3"), ("b", "test3"), ("c", "test3"), ("d", "test1")]


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"duplicates\.radius = 16"):
        DuplicatesConfig(radius=16)
    with pytest.raises(ConfigError, match=r"duplicates\.similarity"):
        DuplicatesConfig(similarity=0)
