"""Contact sheets: many pictures on one page."""

import io
from collections.abc import Sequence

from PIL import Image

GAP = 8


def contact_sheet(images: Sequence[bytes], columns: int = 12, tile: int = 112) -> Image.Image:
    """Pictures side by side, cut to squares."""
    rows = -(-len(images) // columns)
    size = columns * (tile + GAP) + GAP, rows * (tile + GAP) + GAP
    sheet = Image.new("RGB", size, "#fbfaf7")
    for place, data in enumerate(images):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        x, y = (GAP + n * (tile + GAP) for n in (place % columns, place // columns))
        sheet.paste(square.resize((tile, tile), Image.Resampling.LANCZOS), (x, y))
    return sheet
