"""Losses over several labels an image, against targets that stay sparse.

Multi-label softmax (Mahajan et al., ECCV 2018, section 2.2): the labels of an image share a target
of 1, each of k labels gets 1/k, or its share by weight, for instance by information content. The
paper's alternative is a logistic loss for each label on its own. Labels come as ids in CSR form;
there is never a dense (N, V) array of targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hashnext.errors import ConfigError
from hashnext.models.activation import ACTIVATIONS, Activation, log_partition


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What a network's logits are held against."""

    kind: Activation = "softmax"
    """Labels that share one target, or a logistic loss for each label on its own."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all labels (Szegedy et al., CVPR 2016, section 7)."""

    def __post_init__(self) -> None:
        if self.kind not in ACTIVATIONS:
            raise ConfigError("loss.kind", self.kind, f"must be {' or '.join(ACTIVATIONS)}")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError("loss.label-smoothing", self.label_smoothing, "must lie in [0, 1)")


@dataclass(frozen=True)
class Targets:
    """The labels of N images."""

    offsets: Tensor
    """int64 (N + 1,), start of each image's labels; every image has at least one."""
    labels: Tensor
    """int64 (assignments,), label ids."""
    weights: Tensor | None = None
    """float (V,), positive, how an image's labels share its target; None weighs them alike."""

    def take(self, rows: Tensor) -> "Targets":
        """The labels of some of the images: rows int64 (n,)."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        ahead = (self.offsets[rows] - offsets[:-1]).repeat_interleave(counts)
        places = torch.arange(len(ahead), device=ahead.device) + ahead
        return Targets(offsets, self.labels[places], self.weights)


def loss(config: LossConfig, logits: Tensor, targets: Targets) -> Tensor:
    """The configured loss: float32 (N,), one an image, from logits (N, V)."""
    if config.kind == "softmax":
        return softmax_loss(
            logits, targets.offsets, targets.labels, targets.weights, config.label_smoothing
        )
    return sigmoid_loss(logits, targets.offsets, targets.labels, config.label_smoothing)


def softmax_loss(
    logits: Tensor, offsets: Tensor, labels: Tensor, weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Cross-entropy of each image against its share of the target on each of its labels.

    loss_i = logsumexp(z_i) - (1 - s) x sum over the labels h of image i of q_ih z_ih - s x mean of
    z_i, where q_ih is 1/k, or w_h / (sum of its labels' w) with weights, and s is the smoothing.

    Args:
        logits: float (N, V).
        offsets, labels, weights: as in `Targets`.
        smoothing: s.

    Returns:
        float32 (N,), one loss an image; its floor is `target_entropy`.
    """
    logits = logits.float()
    image, shares = _shares(offsets, labels, weights)
    aimed = logits.new_zeros(len(logits)).index_add(0, image, logits[image, labels] * shares)
    if smoothing:
        aimed = (1 - smoothing) * aimed + smoothing * logits.mean(dim=1)
    return log_partition(logits, "softmax") - aimed


def sigmoid_loss(logits: Tensor, offsets: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Sum over all labels of the binary cross-entropy of each on its own.

    loss_i = sum over v of softplus(z_iv) - (1 - s) x sum over its labels of z_ih - s/2 x sum of
    z_i: targets of 1 - s/2 for an image's labels and of s/2 for all others.

    Args:
        logits: float (N, V).
        offsets, labels: as in `Targets`.
        smoothing: s.

    Returns:
        float32 (N,), one loss an image; its floor is V times the entropy of s/2.
    """
    logits = logits.float()
    image = _image_of(offsets)
    aimed = logits.new_zeros(len(logits)).index_add(0, image, logits[image, labels])
    if smoothing:
        aimed = (1 - smoothing) * aimed + smoothing / 2 * logits.sum(dim=1)
    return log_partition(logits, "sigmoid") - aimed


def target_entropy(
    config: LossConfig, targets: Targets, num_labels: int, partners: Targets | None = None,
    own: float = 1.0,
) -> Tensor:  # fmt: skip
    """What no network gets below: float32 (N,).

    Loss minus this is the Kullback-Leibler divergence of the prediction from the target, which
    compares between runs whose images have different numbers of labels.

    Args:
        config: the loss.
        targets: of N images.
        num_labels: V.
        partners: of the N images that these are mixed with, if they are.
        own: share of `targets` in the mixed target.
    """
    s, count = config.label_smoothing, len(targets.offsets) - 1
    softmax = config.kind == "softmax"
    image, labels, shares = _assigned(targets, softmax)
    if partners is not None:
        theirs = _assigned(partners, softmax)
        places = torch.cat([image * num_labels + labels, theirs[0] * num_labels + theirs[1]])
        # a label of both is one of the mixture
        places, same = places.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        both = torch.cat([own * shares, (1 - own) * theirs[2]])
        image, shares = places // num_labels, both.new_zeros(len(places)).index_add(0, same, both)
    least = shares.new_tensor(s / num_labels if softmax else s / 2)
    entropy = torch.special.entr if softmax else _binary_entropy
    more = entropy((1 - s) * shares + least) - entropy(least)
    return (num_labels * entropy(least)).repeat(count).index_add(0, image, more)


def _assigned(targets: Targets, shared: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Image, label and share of each assignment; a label on its own has all of its target."""
    image, shares = _shares(targets.offsets, targets.labels, targets.weights)
    return image, targets.labels, shares if shared else torch.ones_like(shares)


def _shares(offsets: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Image of each assignment, and the assignment's share of the image's target."""
    image = _image_of(offsets)
    own = torch.ones_like(labels, dtype=torch.float32) if weights is None else weights[labels]
    totals = own.new_zeros(len(offsets) - 1).index_add(0, image, own)
    return image, own / totals[image]


def _image_of(offsets: Tensor) -> Tensor:
    counts = offsets[1:] - offsets[:-1]
    return torch.repeat_interleave(torch.arange(len(counts), device=offsets.device), counts)


def _binary_entropy(p: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
    return entropy
