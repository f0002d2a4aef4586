"""Multi-label softmax: the labels of an image share a target of 1.

Mahajan et al., ECCV 2018, section 2.2: each of k labels gets 1/k. With a weight a label, for
instance its information content, they share it by their weights instead. Targets stay sparse: label
ids in CSR form, never a dense (N, V) array.
"""

import torch
from torch import Tensor


def softmax_loss(
    logits: Tensor, offsets: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy of each image against its share of the target on each of its labels.

    loss_i = logsumexp(z_i) - sum over the labels h of image i of q_ih z_ih, where q_ih is 1/k, or
    w_h / (sum of its labels' w) with weights. Its floor is the entropy of q_i, log k for 1/k.

    Args:
        logits: float (N, V).
        offsets: int64 (N + 1,), start of each image's labels; every image has at least one.
        labels: int64 (assignments,), label ids.
        weights: float (V,), positive; None weighs all labels alike.

    Returns:
        float32 (N,), one loss an image.
    """
    logits = logits.float()
    counts = offsets[1:] - offsets[:-1]
    image = torch.repeat_interleave(torch.arange(len(logits), device=logits.device), counts)
    scores, totals = logits[image, labels], counts
    nothing = torch.zeros(len(logits), device=logits.device)
    if weights is not None:
        scores, totals = scores * weights[labels], nothing.index_add(0, image, weights[labels])
    return torch.logsumexp(logits, dim=1) - nothing.index_add(0, image, scores) / totals
