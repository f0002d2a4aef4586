"""Pictures side by side, for a look at many at once."""

import io
from collections.abc import Sequence

from PIL import Image


def contact_sheet(images: Sequence[bytes], columns: int = 12, tile: int = 112) -> Image.Image:
    """Pictures side by side, cut to squares."""
    gap = 8
    rows = -(-len(images) // columns)
    size = columns * (tile + gap) + gap, rows * (tile + gap) + gap
    sheet = Image.new("RGB", size, "#fbfaf7")
    for place, data in enumerate(images):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        at = [gap + n * (tile + gap) for n in (place % columns, place // columns)]
        sheet.paste(square.resize((tile, tile), Image.Resampling.LANCZOS), (at[0], at[1]))
    return sheet
