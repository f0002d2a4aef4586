"""Whatever a camera, a phone or an editor wrote into a picture, none of it reaches the shards."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from hashnext.images.kept_jpeg import kept_jpeg
from hashnext.shards import records
from hashnext.shards.duplicates_page import preview
from hashnext.shards.manifest import Manifest
from hashnext.shards.part import PartBuilder, PrepareConfig
from hashnext.storage import Folder
from tests.shards_by_hand import copy_of, everything_in, make_shards, rows_of, smooth_posts

SERIAL, DATUM, XMP, COMMENT, PROFILE, THUMBNAIL, NOTE = (
    f"PLANTED-{name}".encode()
    for name in ("SERIAL", "DATUM", "XMP", "COMMENT", "PROFILE", "THUMBNAIL", "NOTE")
)
PLANTED = (SERIAL, DATUM, XMP, COMMENT, PROFILE, THUMBNAIL, NOTE)
GPS, EXIF_IFD, SERIAL_TAG, USER_COMMENT, DATUM_TAG = 0x8825, 0x8769, 0xC62F, 0x9286, 18
LATITUDE = (52.0, 31.0, 12.345)
JFIF = {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def photo(width: int = 64, height: int = 48) -> Image.Image:
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    return Image.fromarray(ramp.astype(np.uint8))


def segment(marker: int, data: bytes) -> bytes:
    """A JPEG segment."""
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def thumbnail() -> bytes:
    """A small JPEG with a comment of its own, as cameras embed them."""
    stream = io.BytesIO()
    photo(16, 12).save(stream, "JPEG")
    data = stream.getvalue()
    return data[:2] + segment(0xFE, THUMBNAIL) + data[2:]


def exif_of(small: bytes) -> bytes:
    """EXIF with a serial number, a note, a place, and a thumbnail in its second directory."""
    exif = Image.Exif()
    exif[SERIAL_TAG] = SERIAL.decode()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"ASCII\0\0\0" + NOTE
    exif.get_ifd(GPS).update({
        1: "N", 2: tuple(IFDRational(each) for each in LATITUDE),
        3: "E", 4: tuple(IFDRational(each) for each in LATITUDE), DATUM_TAG: DATUM.decode(),
    })  # fmt: skip
    data = exif.tobytes()
    header, tiff = data[:6], bytearray(data[6:])
    order = "little" if tiff[:2] == b"II" else "big"
    first = int.from_bytes(tiff[4:8], order)
    link = first + 2 + 12 * int.from_bytes(tiff[first : first + 2], order)
    place = len(tiff) + len(tiff) % 2
    tiff += bytes(place - len(tiff))
    tiff[link : link + 4] = place.to_bytes(4, order)
    start = place + 2 + 2 * 12 + 4

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    tiff += number(2, 2)
    for tag, value in ((0x0201, start), (0x0202, len(small))):  # offset and length of the thumbnail
        tiff += number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)
    return bytes(header + tiff + number(0, 4) + small)


def profile() -> bytes:
    """A working sRGB profile with a text of somebody's behind it."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + PROFILE


def xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + XMP + b"</x:xmpmeta>"


def as_jpeg() -> bytes:
    stream = io.BytesIO()
    photo().save(stream, "JPEG", exif=exif_of(thumbnail()), icc_profile=profile(), quality=95)
    data = stream.getvalue()
    beside = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp()) + segment(0xFE, COMMENT)
    after_jfif = 20
    return data[:after_jfif] + beside + data[after_jfif:] + b"behind the picture: " + NOTE


def as_png() -> bytes:
    info, stream = PngInfo(), io.BytesIO()
    info.add_itxt("XML:com.adobe.xmp", xmp().decode())
    info.add_text("Comment", COMMENT.decode())
    photo().save(stream, "PNG", pnginfo=info, exif=exif_of(thumbnail()), icc_profile=profile())
    return stream.getvalue()


def as_webp() -> bytes:
    stream = io.BytesIO()
    photo().save(
        stream, "WEBP", exif=exif_of(thumbnail()), icc_profile=profile(), xmp=xmp(), quality=95
    )
    return stream.getvalue()


def told_by(data: bytes) -> set[bytes]:
    """What of `PLANTED` can be read out of a picture, as it lies there or as Pillow reads it."""
    image = Image.open(io.BytesIO(data))
    image.load()
    said = data + repr(image.info).encode() + (image.info.get("icc_profile") or b"")
    return {each for each in PLANTED if each in said}


@pytest.mark.parametrize(
    ("make", "planted"),
    [(as_jpeg, {*PLANTED}), (as_png, {*PLANTED}), (as_webp, {*PLANTED} - {COMMENT})],
)
@pytest.mark.parametrize("size", [32, 48])
def test_nothing_but_the_picture_reaches_the_shards(
    tmp_path: Path, make: Callable[[], bytes], planted: set[bytes], size: int
) -> None:
    """Of 48 px a JPEG keeps its compressed picture, of 32 px it does not."""
    data = make()
    if make is as_jpeg:
        assert kept_jpeg(data) is not None
    assert told_by(data) == planted, "the photo does not hold what the test is about"
    exif = Image.open(io.BytesIO(data)).getexif()
    assert exif.get_ifd(GPS)[2] == pytest.approx(LATITUDE)
    assert exif.get_ifd(IFD.IFD1)[0x0202] == len(thumbnail())
    builder = PartBuilder(PrepareConfig(size=size))
    row = {"post_id": "p", "hashtags": ["dog"], "public": True, "problem": None}
    builder.add(pa.Table.from_pylist([row]), [data])
    assert not builder.rejections
    records.write(Folder.at(tmp_path), 0, builder)
    written = everything_in(Folder.at(tmp_path))
    assert not [each for each in PLANTED if each in written]
    (stored,) = pq.read_table(tmp_path / "part-000000.parquet")["image"].to_pylist()
    image = Image.open(io.BytesIO(stored))
    assert (image.format, image.size) == ("JPEG", {32: (43, 32), 48: (64, 48)}[size])
    assert not image.getexif()
    assert set(image.info) <= JFIF
    assert told_by(stored) == set()
    assert markers(stored) <= {0xE0, 0xDB, 0xC0, 0xC4}


def markers(data: bytes) -> set[int]:
    """Kinds of the JPEG's segments in front of its pixels."""
    found, place = set(), 2
    while data[place + 1] != 0xDA:
        found.add(data[place + 1])
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return found


def test_nothing_but_the_picture_reaches_the_page_of_copies() -> None:
    data = as_jpeg()
    assert told_by(data) == {*PLANTED}
    assert told_by(preview(data)) == set()


@pytest.mark.parametrize("public_first", [True, False])
def test_a_post_that_one_row_does_not_state_public_is_private(
    tmp_path: Path, public_first: bool
) -> None:
    posts = smooth_posts(12, private=100)[1:]
    both = [{**posts[3], "public": True}, {**posts[5], "post_id": "post004", "public": False}]
    posts[3:4] = both if public_first else both[::-1]
    posts.append(copy_of(posts[0], "z-copy"))
    shards = make_shards(tmp_path / "shards", posts, part_rows=4)
    kept = [row["post_id"] for row in rows_of(shards)]
    assert kept == [f"post{number:03d}" for number in range(1, 12) if number != 4]
    manifest = Manifest.read(shards)
    assert manifest.quarantined == {"exact_duplicate": 1, "private": 2}
    assert manifest.input_posts == 13
    assert b"tag004" not in everything_in(shards)
    parts = records.recorded(shards)
    assert len(parts) == 4
    assert all(records.is_intact(shards, part) for part in parts)
