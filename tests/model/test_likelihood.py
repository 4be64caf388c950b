from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from pixelcluster.model import likelihood
from pixelcluster.model.convolutional import ConvolutionalGenerator
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.likelihood import FullNoise, IsotropicNoise, LabelGroups

K, D, R, N = 4, 3, 2, 50


def make_noise(kind: str) -> tuple[likelihood.Noise, torch.Tensor]:
    """A noise of K clusters and its covariances (K, D, D)."""
    if kind == "isotropic":
        return IsotropicNoise(torch.tensor(0.3)), 0.09 * torch.eye(D).expand(K, D, D)
    root = torch.randn(K, D, D, generator=torch.Generator().manual_seed(1)) + 2 * torch.eye(D)
    covariances = root @ root.transpose(1, 2)
    return FullNoise(torch.linalg.cholesky(covariances.inverse())), covariances


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("kind", ["isotropic", "full"])
def test_log_prob_is_torch_distributions(kind: str, random: torch.Generator) -> None:
    noise, covariances = make_noise(kind)
    residuals = torch.randn(N, D, generator=random)
    labels = torch.randint(K, (N,), generator=random)
    expected = MultivariateNormal(torch.zeros(D), covariances[labels]).log_prob(residuals)
    actual = noise.log_prob(residuals, LabelGroups(labels, K))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["isotropic", "full"])
@pytest.mark.parametrize("rows_at_once", [7, 4096])
def test_all_clusters_at_once_are_torch_distributions(
    kind: str, rows_at_once: int, random: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "ROWS_AT_ONCE", rows_at_once)
    noise, covariances = make_noise(kind)
    residuals = torch.randn(N, D, generator=random)
    inputs = torch.cat([torch.ones(N, 1), torch.randn(N, R, generator=random)], dim=1)
    heads = torch.randn(K, D, 1 + R, generator=random)
    means = torch.einsum("kdr,nr->knd", heads, inputs)
    expected = MultivariateNormal(means, covariances[:, None]).log_prob(residuals)
    actual = likelihood.log_likelihood_all(residuals, inputs, heads, noise)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)


def test_multiply_by_label_is_a_gather_and_has_its_gradients(random: torch.Generator) -> None:
    labels = torch.randint(K, (N,), generator=random)
    labels[labels == 2] = 3  # an empty cluster
    rows = torch.randn(N, R, generator=random, dtype=torch.float64, requires_grad=True)
    matrices = torch.randn(K, D, R, generator=random, dtype=torch.float64, requires_grad=True)
    groups = LabelGroups(labels, K)
    torch.testing.assert_close(
        groups.multiply(rows, matrices), torch.einsum("nor,nr->no", matrices[labels], rows)
    )
    assert torch.autograd.gradcheck(groups.multiply, (rows, matrices))


@pytest.mark.parametrize("kind", ["isotropic", "full"])
@pytest.mark.parametrize("form", [ClusteredGenerator, ConvolutionalGenerator])
@pytest.mark.parametrize("masked", [False, True])
def test_three_readings_of_one_likelihood_agree(kind, form, masked, random: torch.Generator) -> None:
    generator = form(K, D, noise=kind, sigma=0.7, latent_stride=2)
    if kind == "full":
        generator.noise.set_covariances(make_noise("full")[1])
    x = torch.randn(2, D, 5, 4, generator=random)
    label_map = torch.randint(K, (2, 5, 4), generator=random)
    mask = torch.rand(2, 5, 4, generator=random) > 0.3 if masked else None
    z = torch.randn(2, *generator.trunk.latent_shape(5, 4), generator=random)
    features = generator.trunk(z, (5, 4)).detach().requires_grad_()

    direct = generator.log_likelihood(x, features, label_map, mask)
    fast = generator.given_labels(x, label_map, mask)(features)
    residuals = (x - generator.mean(features, label_map)).permute(0, 2, 3, 1)
    covariances = make_noise("full")[1][label_map] if kind == "full" else 0.49 * torch.eye(D)
    cells = MultivariateNormal(torch.zeros(D), covariances).log_prob(residuals)
    expected = (cells if mask is None else cells * mask).sum((1, 2))

    torch.testing.assert_close(direct, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-3)
    weights = torch.tensor([1.0, -2.0])
    (of_direct,) = torch.autograd.grad(direct @ weights, features)
    (of_fast,) = torch.autograd.grad(fast @ weights, features)
    torch.testing.assert_close(of_fast, of_direct, rtol=1e-4, atol=1e-3)
    if form is ClusteredGenerator:
        evidence = generator.evidence(x, features, mask).gather(1, label_map[:, None]).sum((1, 2, 3))
        torch.testing.assert_close(evidence, expected, rtol=1e-4, atol=1e-3)
