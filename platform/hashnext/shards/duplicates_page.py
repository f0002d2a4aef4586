"""`duplicates.html`: each removed post beside the picture it is a copy of. Needs no network."""

import base64
import html
import io
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageOps

from hashnext.images.decode import encode_jpeg
from hashnext.shards import records
from hashnext.shards.duplicates import EVALUATION
from hashnext.shards.references import Reference
from hashnext.storage import Folder

PAGE = "duplicates.html"
SHOWN = 200
"""Pairs shown at most, shared between the reasons; the most different come first."""
SIDE = 96
"""Longest side of a picture on the page, in pixels."""
QUALITY = 85
TITLES = {
    "similar_to_evaluation": "Show an image of an evaluation set",
    "near_duplicate": "Look like an earlier post",
    "exact_duplicate": "Are an earlier post, byte for byte",
}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fbfaf7;
       max-width: 1100px; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
h2 small, figcaption, p { color: #666; font-weight: normal; }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(236px, 1fr)); gap: 14px; }
figure { margin: 0; padding: 12px; background: #fff; border: 1px solid #e6e2d8;
         border-radius: 8px; }
figure div { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; height: 96px;
             place-items: center; }
figcaption { font-size: 12px; margin-top: 8px; overflow-wrap: anywhere; }
figcaption b { color: #222; }
"""
_SECTION = r"<h2>{} <small>[^<]*</small></h2><section>(.*?)</section>"
_CAPTION = re.compile(r"<figcaption><b>([^<]*)</b> of ([^<]*)</figcaption>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A removed post and the picture for whose sake it was removed."""

    post_id: str
    part: int
    kept_id: str
    """Id of the post that stays, or of the evaluation image."""
    kept_part: int | None
    reference: Reference | None
    """Where the evaluation image lies."""
    reason: str
    distance: int
    """Bits in which their hashes differ."""

    @property
    def detail(self) -> str:
        """What it is a copy of, for the quarantine."""
        where = f"{self.reference.name}: " if self.reference else ""
        bits = "1 bit" if self.distance == 1 else f"{self.distance} bits"
        return f"{where}{self.kept_id}, {bits} apart"


def preview(data: bytes) -> bytes:
    """A small upright JPEG of an encoded image, without its metadata."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    image.thumbnail((SIDE, SIDE))
    return encode_jpeg(np.asarray(image, dtype=np.uint8), QUALITY)


def write_page(out: Folder, copies: Sequence[Copy], references: Sequence[Reference]) -> None:
    """Write the page; the parts have been rewritten."""
    counts = Counter(copy.reason for copy in copies)
    shown = [
        copy for reason in TITLES for copy in _chosen(copies, reason, SHOWN // max(1, len(counts)))
    ]
    removed, kept = _removed(out, shown), _kept(out, shown, references)
    figures = {
        reason: [_figure(copy, removed, kept) for copy in shown if copy.reason == reason]
        for reason in TITLES
    }
    out.write_bytes(PAGE, _page(counts, figures))


def take_off_page(out: Folder, forgotten: frozenset[str], counts: Mapping[str, int]) -> None:
    """Take some posts' pictures, and those of their copies beside them, off the page.

    Args:
        out: folder of the shards.
        forgotten: ids of the posts.
        counts: posts still in quarantine, by reason.
    """
    if not out.has(PAGE):
        return
    before = out.read_bytes(PAGE)
    figures: dict[str, list[str]] = {}
    for reason, title in TITLES.items():
        found = re.search(_SECTION.format(re.escape(title)), before.decode(), re.DOTALL)
        figures[reason] = [
            figure for figure in re.findall(r"<figure>.*?</figure>", found[1] if found else "")
            if not forgotten & _shown_on(figure, reason)
        ]  # fmt: skip
    if (after := _page(counts, figures)) != before:
        out.write_bytes(PAGE, after)


def copied_from(reason: str, detail: str) -> str:
    """Id, inside a `Copy.detail`, of what the post is a copy of."""
    picture = detail.rpartition(", ")[0]
    return picture.partition(": ")[2] if reason == EVALUATION else picture


def _chosen(copies: Sequence[Copy], reason: str, count: int) -> list[Copy]:
    of_reason = [copy for copy in copies if copy.reason == reason]
    return sorted(of_reason, key=lambda copy: (-copy.distance, copy.post_id))[:count]


def _removed(out: Folder, copies: Sequence[Copy]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in sorted({copy.part for copy in copies}):
        table = out.read_table(records.removed_name(part))
        found |= dict(zip(*table.to_pydict().values(), strict=True))
    return found


Kept = dict[tuple[str | None, str], bytes]
"""Image by the location of its evaluation set (None: the posts) and its id."""


def _kept(out: Folder, copies: Sequence[Copy], references: Sequence[Reference]) -> Kept:
    found: Kept = {}
    by_part = defaultdict(set)
    for copy in copies:
        if copy.kept_part is not None:
            by_part[copy.kept_part].add(copy.kept_id)
    for part, ids in sorted(by_part.items()):
        table = out.read_table(records.file_name(part), ["post_id", "image"])
        table = table.filter(pc.is_in(table["post_id"], pa.array(sorted(ids))))
        found |= {(None, row["post_id"]): row["image"] for row in table.to_pylist()}
    for reference in references:
        ids = {copy.kept_id for copy in copies if copy.reference == reference}
        images = reference.pick(ids) if ids else {}
        found |= {(reference.location, name): image for name, image in images.items()}
    return found


def _figure(copy: Copy, removed: dict[str, bytes], kept: Kept) -> str:
    where = copy.reference.location if copy.reference else None
    other = preview(kept[where, copy.kept_id])
    caption = f"<b>{html.escape(copy.post_id)}</b> of {html.escape(copy.detail)}"
    pictures = _img(removed[copy.post_id]) + _img(other)
    return f"<figure><div>{pictures}</div><figcaption>{caption}</figcaption></figure>"


def _img(data: bytes) -> str:
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'


def _shown_on(figure: str, reason: str) -> set[str]:
    """Ids of the two pictures of a figure."""
    caption = _CAPTION.search(figure)
    assert caption, "a figure has a caption"
    post_id, detail = map(html.unescape, caption.groups())
    return {post_id, copied_from(reason, detail)}


def _page(counts: Mapping[str, int], figures: Mapping[str, Sequence[str]]) -> bytes:
    """The page of posts removed, and of the figures shown, by reason."""
    total = sum(counts.get(reason, 0) for reason in TITLES)
    body = [f"<h1>{total:,} posts removed as copies</h1>"
            "<p>Left the removed post, right what it is a copy of.</p>"]  # fmt: skip
    for reason, title in TITLES.items():
        if of_reason := counts.get(reason, 0):
            rest = of_reason - len(figures[reason])
            note = f"{of_reason:,} posts" + (f", {rest:,} of them not shown" if rest else "")
            pictures = "".join(figures[reason])
            body.append(f"<h2>{title} <small>{note}</small></h2><section>{pictures}</section>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Copies removed</title>'
        f"<style>{STYLE}</style><body>{''.join(body)}</body></html>\n"
    ).encode()
