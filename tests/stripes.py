"""Labelled images that any network tells apart."""

import numpy as np
from numpy.typing import NDArray

from hashnext.evaluation.labelled import LabelledSet
from hashnext.images.decode import encode_jpeg


def stripes(n: int) -> LabelledSet:
    """Images of horizontal (label 3) and vertical (label 8) stripes in random colours."""
    random = np.random.default_rng(0)
    labels = np.array([3, 8] * n, dtype=np.int64)[:n]

    def draw(label: int) -> NDArray[np.uint8]:
        wave = (np.arange(40) // 5 % 2)[:, None, None] * random.integers(100, 255, 3)
        image = np.broadcast_to(wave, (40, 40, 3)).astype(np.uint8)
        return image if label == 3 else image.transpose(1, 0, 2)

    return LabelledSet(
        ids=[f"s{i}" for i in range(n)], images=[encode_jpeg(draw(label)) for label in labels],
        labels=labels, fingerprint=f"{n} stripes",
    )  # fmt: skip
