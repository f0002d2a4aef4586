"""The linear probe against scikit-learn's logistic regression, and its search."""

import pytest
import torch

from hashnext.evaluation.probe import REGULARISATIONS, fit_probe, select_probe


def clusters(n: int, dim: int, classes: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated, shifted features of unequal scale around one centre a class."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(classes, (n,), generator=generator)
    centres = torch.randn(classes, dim, generator=generator)
    noise = spread * torch.randn(n, dim, generator=generator)
    mixing = torch.randn(dim, dim, generator=generator) * torch.logspace(0, -2, dim)[:, None]
    return (centres[targets] + noise) @ mixing * 5 + 3, targets


@pytest.mark.parametrize("regularisation", [1.0, 0.03, 0.003])
def test_equals_scikit_learn(regularisation: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, targets = clusters(400, 30, 7, spread=2.0)
    probe = fit_probe(features, targets, 7, regularisation)
    standardised = ((features - probe.mean) / probe.scale).double().numpy()
    reference = linear_model.LogisticRegression(
        C=1 / (regularisation * 400), tol=1e-6, max_iter=1000
    ).fit(standardised, targets.numpy())
    probabilities = torch.softmax(probe.logits(features), 1).numpy()
    assert probe.converged
    assert probabilities == pytest.approx(reference.predict_proba(standardised), abs=0.01)


def test_the_gradient_vanishes_where_it_stops() -> None:
    features, targets = clusters(400, 30, 7, spread=2.0)
    probe = fit_probe(features, targets, 7, 0.1)
    weight, bias = probe.weight.clone().requires_grad_(), probe.bias.clone().requires_grad_()
    logits = (features - probe.mean) / probe.scale @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(logits, targets) + 0.05 * weight.square().sum()
    loss.backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-3


def test_a_warm_start_ends_at_the_same_probe() -> None:
    features, targets = clusters(300, 20, 5, spread=2.0)
    cold = fit_probe(features, targets, 5, 0.01)
    warm = fit_probe(features, targets, 5, 0.01, start=fit_probe(features, targets, 5, 1.0))
    assert warm.logits(features) == pytest.approx(cold.logits(features), abs=0.1)


def test_scale_and_constant_features_do_not_matter() -> None:
    features, targets = clusters(300, 20, 5, spread=1.0)
    padded = torch.cat([features * 1000, torch.full((300, 1), 4.2)], 1)
    ours = fit_probe(padded, targets, 5, 0.1).logits(padded)
    assert ours == pytest.approx(fit_probe(features, targets, 5, 0.1).logits(features), abs=0.02)


def test_the_search_stands_noise_features() -> None:
    selection = torch.arange(400) % 5 == 0
    clean, targets = clusters(400, 30, 4, spread=0.3)
    noise = 30 * torch.randn(400, 300, generator=torch.Generator().manual_seed(1))
    noisy = torch.cat([clean, noise], 1)
    easy, hard = (select_probe(x, targets, 4, selection) for x in (clean, noisy))
    assert easy.top1 > 0.98
    assert hard.top1 > 0.6
    assert hard.probe.regularisation in REGULARISATIONS


def test_the_slice_is_not_fitted() -> None:
    features, targets = clusters(200, 10, 4, spread=1.0)
    selection = torch.arange(200) % 5 == 0
    shuffled = targets.clone()
    shuffled[selection] = (targets[selection] + 1) % 4
    selected = select_probe(features, shuffled, 4, selection)
    assert selected.top1 < 0.2, "labels of the slice that contradict the rest cannot be learnt"


def test_a_class_that_only_the_slice_has() -> None:
    features, targets = clusters(100, 10, 3, spread=0.5)
    probe = fit_probe(features, targets, 4, 0.1)
    assert probe.converged
    assert (probe.logits(features).argmax(1) < 3).all()
