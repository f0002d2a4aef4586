"""Linear probe: L2-regularised multinomial logistic regression on frozen features.

It minimises, over standardised features x,

    mean_i cross_entropy(W x_i + b, y_i) + (regularisation / 2) |W|^2

with L-BFGS; the bias b is free. That is scikit-learn's LogisticRegression with
C = 1 / (regularisation * n).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

REGULARISATIONS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Searched from strong to weak, each starting where the last one ended."""
PATIENCE = 2
"""The search ends after this many weaker ones in a row without a better accuracy."""
MAX_ITERATIONS = 500
TOLERANCE = 1e-6
"""L-BFGS stops when an iteration lowers the loss by less."""
SMALLEST_SCALE = 1e-6
"""Features that vary less are constants."""


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """A fitted probe."""

    mean: Tensor
    """(D,) of the training features."""
    scale: Tensor
    """(D,) standard deviation of the training features; or one for all, their root mean square."""
    weight: Tensor
    """(C, D), for standardised features."""
    bias: Tensor
    """(C,)."""
    regularisation: float
    converged: bool
    """False when L-BFGS was stopped at MAX_ITERATIONS."""

    def logits(self, features: Tensor) -> Tensor:
        """Float (N, C) of features (N, D)."""
        return (features - self.mean) / self.scale @ self.weight.T + self.bias


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The probe that was best on the held-out slice."""

    probe: LinearProbe
    """Fitted on the rest."""
    top1: float
    """Accuracy on the slice; it was chosen by this figure, so it is not an unbiased one."""


def fit_probe(
    features: Tensor,
    targets: Tensor,
    num_classes: int,
    regularisation: float,
    start: LinearProbe | None = None,
    shared_scale: bool = False,
) -> LinearProbe:
    """Fit the probe.

    Args:
        features: float32 (N, D).
        targets: int64 (N,) in 0..num_classes-1.
        num_classes: C.
        regularisation: weight of the L2 penalty, above 0.
        start: a probe of the same shape to start from; zero weights otherwise.
        shared_scale: divide all features by one scale, where there are too few images to know
            that of each.
    """
    mean, scale = features.mean(0), features.std(0, correction=0)
    if shared_scale:
        scale = scale.square().mean().sqrt().expand_as(scale)
    scale = scale.clamp_min(SMALLEST_SCALE)
    standardised = (features - mean) / scale
    # The curvature along the bias is 1 / C of that along a weight; sqrt(C) makes them equal, which
    # halves the iterations.
    stretch = num_classes**0.5
    weight = torch.zeros(num_classes, features.shape[1], device=features.device)
    bias = torch.zeros(num_classes, device=features.device)
    if start is not None:
        weight, bias = start.weight.clone(), start.bias / stretch
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimiser = torch.optim.LBFGS(
        parameters, max_iter=MAX_ITERATIONS, tolerance_grad=0, tolerance_change=TOLERANCE,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> float:
        optimiser.zero_grad()
        logits = standardised @ weight.T + bias * stretch
        loss = cross_entropy(logits, targets) + regularisation / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    iterations = int(optimiser.state[parameters[0]]["n_iter"])
    return LinearProbe(
        mean=mean, scale=scale, weight=weight.detach(), bias=bias.detach() * stretch,
        regularisation=regularisation, converged=iterations < MAX_ITERATIONS,
    )  # fmt: skip


def select_probe(
    features: Tensor, targets: Tensor, num_classes: int, selection: Tensor
) -> Selected:
    """Choose the regularisation: fit outside the slice, score on it; ties go to the stronger.

    Args:
        features: float32 (N, D).
        targets: int64 (N,).
        num_classes: C.
        selection: bool (N,), the slice to score on.
    """
    best: Selected | None = None
    probe: LinearProbe | None = None
    worse = 0
    for regularisation in REGULARISATIONS:
        probe = fit_probe(
            features[~selection], targets[~selection], num_classes, regularisation, probe
        )
        right = probe.logits(features[selection]).argmax(1) == targets[selection]
        top1 = float(right.float().mean())
        if best is None or top1 > best.top1:
            best, worse = Selected(probe=probe, top1=top1), 0
        elif (worse := worse + 1) == PATIENCE:
            break
    assert best is not None
    return best
