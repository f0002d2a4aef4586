"""Predictions of posts drawn at random, with a truth that they know something of."""

import numpy as np
import torch

from hashnext.evaluation.predictions import Predictions


def predictions(posts: list[list[int]], logits: torch.Tensor) -> Predictions:
    """Of posts with these labels; keys are in turn of the one and the other half."""
    labels = np.array([label for row in posts for label in row], np.int32)
    keys = np.arange(len(posts), dtype=np.uint64) * np.uint64(1000)
    return Predictions(logits, np.array([len(row) for row in posts], np.int64), labels, keys)


def sampled(posts: int, num_labels: int, sharpness: float = 1.0, most: int = 1) -> Predictions:
    """Up to `most` labels a post drawn from the softmax of the logits, which are then sharpened."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(posts, num_labels, generator=generator)
    counts = torch.randint(1, most + 1, (posts,), generator=generator).tolist()
    drawn = torch.multinomial(torch.softmax(logits, 1), most, generator=generator).tolist()
    rows = [sorted(row[:count]) for row, count in zip(drawn, counts, strict=True)]
    return predictions(rows, sharpness * logits)
