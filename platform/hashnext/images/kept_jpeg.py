"""JPEGs that need not be encoded again: the same compressed picture, with nothing beside it.

Encoding again costs time and a little quality. Of a baseline JPEG with a JFIF header only the
segments without which no picture can be decoded are copied (ITU-T T.81, annex B): application
segments (EXIF, XMP, profiles, thumbnails), comments and what follows the end are left behind.
"""

import re
import struct

EOI = 0xD9
TABLES, FRAME, SCAN = {0xDB, 0xC4, 0xDD}, 0xC0, 0xDA
"""Quantisation and Huffman tables and restart intervals; a baseline frame; a scan."""
LEFT_BEHIND = {*range(0xE0, 0xF0), 0xFE}
COLOURS = 3
MAX_BITS_A_PIXEL = 4
"""What has more is encoded again: it would take longer to decode, every epoch, and show no more."""
HEADER = b"\xff\xd8\xff\xe0" + struct.pack(">H5s2sBHHBB", 16, b"JFIF", b"\1\1", 0, 1, 1, 0, 0)
"""Start of the image and JFIF 1.1, without resolution or thumbnail."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""What ends compressed data: no stuffed byte, no restart."""


def kept_jpeg(data: bytes) -> bytes | None:
    """The picture of a JPEG without anything else; None where it should be encoded again.

    Args:
        data: a JPEG that was decoded without error, in which nothing has to be turned upright.
    """
    try:
        return _kept(data)
    except (IndexError, struct.error):  # a segment that ends behind the file
        return None


def _kept(data: bytes) -> bytes | None:
    parts, place, pixels = [HEADER], 2, 0
    if data[2:4] + data[6:11] != b"\xff\xe0JFIF\0" or struct.unpack_from(">H", data, 4)[0] < 16:
        return None
    while (marker := data[place + 1]) != SCAN:
        (length,) = struct.unpack_from(">H", data, place + 2)
        segment, place = data[place : place + 2 + length], place + 2 + length
        if segment[0] != 0xFF or marker not in TABLES | LEFT_BEHIND | {FRAME}:
            return None
        if marker == FRAME:
            _, height, width, colours = struct.unpack_from(">BHHB", segment, 4)
            pixels = height * width if colours == COLOURS else 0
        if marker not in LEFT_BEHIND:
            parts.append(segment)
    end = _MARKER.search(data, place + 2)
    if end is None or data[end.start() + 1] != EOI:
        return None
    parts.append(data[place : end.end()])
    kept = b"".join(parts)
    return kept if 8 * len(kept) <= MAX_BITS_A_PIXEL * pixels else None
