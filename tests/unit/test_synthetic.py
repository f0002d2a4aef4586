"""The drawn corpus: real nouns, the same from the same seed, no picture in two sets."""

import io
from collections import Counter
from hashlib import sha256

from PIL import Image

from hashnext.hashtags import lexicon
from hashnext.hashtags.normalise import normalise
from hashnext.images.contact_sheet import contact_sheet
from hashnext.images.decode import DecodeLimits, ImageRejected, decode
from hashnext.posts.synthetic.concepts import CONCEPTS
from hashnext.posts.synthetic.corpus import labelled, post


def test_concepts_are_wordnet_nouns_under_their_own_names() -> None:
    nouns = lexicon.load()
    assert 36 <= len(CONCEPTS) <= 44
    assert len({concept.wnid for concept in CONCEPTS}) == len(CONCEPTS)
    for concept in CONCEPTS:
        row = nouns.row(concept.wnid)
        for name in concept.names.split():
            assert row in nouns.senses(normalise(name)), name
        broader = nouns.senses(normalise(concept.broader))
        assert set(broader) & set(nouns.ancestors(row)), concept.broader


def test_the_same_seed_gives_the_same_rows() -> None:
    rows = [post(3, number) for number in range(6)]
    assert [post(3, number) for number in reversed(range(6))] == rows[::-1]
    assert post(3, 1)["image"] != post(4, 1)["image"]


def test_no_picture_is_in_two_sets() -> None:
    sets = [
        {sha256(post(0, n)["image"]).digest() for n in range(60)},
        {sha256(labelled(0, "train", n)["image"]).digest() for n in range(60)},
        {sha256(labelled(0, "test", n)["image"]).digest() for n in range(60)},
    ]
    assert not sets[0] & sets[1]
    assert not sets[1] & sets[2]
    assert not sets[0] & sets[2]


def test_posts_are_what_their_truth_says() -> None:
    seen: Counter[str] = Counter()
    for number in range(250):
        row = post(0, number)
        issue = row["issue"].split(":")[0]
        seen[issue] += 1
        assert row["public"] == (issue != "private")
        try:
            decode(row["image"], DecodeLimits())
            assert issue not in ("truncated", "empty", "not_image")
        except ImageRejected:
            assert issue in ("truncated", "empty", "not_image")
        if issue == "exact_duplicate":
            original = post(0, int(row["issue"].rpartition("post")[2]))
            assert original["image"] == row["image"]
            assert original["issue"] == ""
    assert {"exact_duplicate", "private", "truncated"} <= set(seen)
    assert seen[""] > 200


def test_the_contact_sheet_holds_every_picture() -> None:
    images = [labelled(0, "train", n)["image"] for n in range(5)]
    sheet = contact_sheet(images, columns=3, tile=40)
    assert sheet.size == (3 * 48 + 8, 2 * 48 + 8)
    blank = Image.new("RGB", (40, 40), "#fbfaf7").tobytes()
    cells = [(8 + 48 * (n % 3), 8 + 48 * (n // 3)) for n in range(6)]
    filled = [sheet.crop((x, y, x + 40, y + 40)).tobytes() != blank for x, y in cells]
    assert filled == [True] * 5 + [False]
    assert Image.open(io.BytesIO(images[0])).size[0] >= 72
