"""Multi-label softmax: each of an image's k labels gets a target of 1/k.

Mahajan et al., ECCV 2018, section 2.2. Targets stay sparse: label ids in CSR form, never a dense
(N, V) array.
"""

import torch
from torch import Tensor


def softmax_loss(logits: Tensor, offsets: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image against 1/k on its k labels.

    loss_i = logsumexp(z_i) - mean of z_ih over the labels h of image i. Its floor is log k.

    Args:
        logits: float (N, V).
        offsets: int64 (N + 1,), start of each image's labels; every image has at least one.
        labels: int64 (assignments,), label ids.

    Returns:
        float32 (N,), one loss an image.
    """
    logits = logits.float()
    counts = offsets[1:] - offsets[:-1]
    image = torch.repeat_interleave(torch.arange(len(logits), device=logits.device), counts)
    sums = torch.zeros(len(logits), device=logits.device)
    sums = sums.index_add(0, image, logits[image, labels])
    return torch.logsumexp(logits, dim=1) - sums / counts
