from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, Normal, kl_divergence

from pixelcluster.variational.mixture import (
    Posterior,
    Prior,
    exact_terms,
    kl_categorical,
    kl_normal,
    log_normal,
    sample_mixture,
    sampled_terms,
)

SLOPE, OFFSET, STD = 1.3, 0.4, 0.7
"""Of the linear decoder p(x | z) = N(x; SLOPE z + OFFSET, STD^2) with which everything has a closed form."""


@pytest.fixture
def random():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def prior():
    log_p = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    mean = torch.tensor([[-2.0], [0.3], [1.5]], dtype=torch.float64)
    log_std = torch.tensor([[-0.5], [0.1], [0.4]], dtype=torch.float64)
    return Prior(log_p, mean, log_std)


def posterior_of(x, prior):
    """The true p(z, c | x) of x (B,) under the linear decoder: again a mixture of normal distributions."""
    std = prior.log_std.exp()[:, 0]
    variance = 1 / (1 / std**2 + SLOPE**2 / STD**2)
    mean = variance * (prior.mean[:, 0] / std**2 + SLOPE * (x[:, None] - OFFSET) / STD**2)
    marginal = Normal(SLOPE * prior.mean[:, 0] + OFFSET, (SLOPE**2 * std**2 + STD**2).sqrt())
    joint = prior.log_p + marginal.log_prob(x[:, None])
    log_std = (0.5 * variance.log()).expand_as(mean)
    return Posterior(joint.log_softmax(1), mean[..., None], log_std[..., None]), joint.logsumexp(1)


def some_posterior():
    log_q = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]], dtype=torch.float64).log()
    mean = torch.tensor([[-1.0, 0.5, 1.0], [0.2, 0.0, -0.4]], dtype=torch.float64)[..., None]
    log_std = torch.tensor([[-1.0, -0.3, 0.2], [0.0, -0.6, -0.2]], dtype=torch.float64)[..., None]
    return Posterior(log_q, mean, log_std)


def log_likelihood_of(x):
    """log p(x | z) of z (B, ..., 1)."""
    return lambda z: Normal(SLOPE * z[..., 0] + OFFSET, STD).log_prob(x.view(-1, *[1] * (z.ndim - 2)))


def integrated_elbo(x, posterior, prior):
    """Sum over c, integral over z of q(z, c | x) (log p(x, z, c) - log q(z, c | x)): trapezoid rule."""
    z = torch.linspace(-14, 14, 40_001, dtype=torch.float64)
    values = []
    for item, value in enumerate(x):
        log_q = posterior.log_q[item, :, None] + Normal(
            posterior.mean[item], posterior.log_std[item].exp()
        ).log_prob(z)
        log_p = prior.log_p[:, None] + Normal(prior.mean, prior.log_std.exp()).log_prob(z)
        log_p = log_p + Normal(SLOPE * z + OFFSET, STD).log_prob(value)
        values.append(torch.trapezoid((log_q.exp() * (log_p - log_q)).sum(0), z))
    return torch.stack(values)


def repeated(posterior, n):
    return Posterior(*(part.repeat_interleave(n, 0) for part in posterior))


def averages(terms, n):
    """Mean and standard error of the ELBO of each item over its n repetitions."""
    values = terms.elbo.view(-1, n)
    return values.mean(1), values.std(1) / math.sqrt(n)


@pytest.mark.parametrize("terms_of", [exact_terms, sampled_terms])
def test_both_estimates_meet_the_integral(terms_of, prior, random):
    x = torch.tensor([0.8, -1.7], dtype=torch.float64)
    posterior, n = some_posterior(), 40_000
    terms = terms_of(repeated(posterior, n), prior, log_likelihood_of(x.repeat_interleave(n)), random)
    mean, error = averages(terms, n)
    assert (error < 0.03).all()
    assert ((mean - integrated_elbo(x, posterior, prior)).abs() < 5 * error).all()


@pytest.mark.parametrize("terms_of", [exact_terms, sampled_terms])
def test_the_bound_is_tight_at_the_true_posterior(terms_of, prior, random):
    x = torch.tensor([0.8, -1.7, 3.0], dtype=torch.float64)
    (posterior, evidence), n = posterior_of(x, prior), 40_000
    assert torch.allclose(integrated_elbo(x, posterior, prior), evidence, atol=1e-8)
    terms = terms_of(repeated(posterior, n), prior, log_likelihood_of(x.repeat_interleave(n)), random)
    mean, error = averages(terms, n)
    assert ((mean - evidence).abs() < 5 * error).all()
    assert (integrated_elbo(x[:2], some_posterior(), prior) < evidence[:2]).all()


def test_the_exact_sum_has_less_noise(prior, random):
    x, n = torch.tensor([0.8, -1.7], dtype=torch.float64), 2_000
    posterior = repeated(some_posterior(), n)
    likelihood = log_likelihood_of(x.repeat_interleave(n))
    _, exact = averages(exact_terms(posterior, prior, likelihood, random), n)
    _, sampled = averages(sampled_terms(posterior, prior, likelihood, random), n)
    assert (exact < 0.8 * sampled).all()


def test_density_and_divergences_against_torch():
    random = torch.Generator().manual_seed(0)
    z, mean, other = torch.randn(3, 5, 4, generator=random, dtype=torch.float64)
    log_std, other_log_std = 0.5 * torch.randn(2, 5, 4, generator=random, dtype=torch.float64)
    first = Independent(Normal(mean, log_std.exp()), 1)
    second = Independent(Normal(other, other_log_std.exp()), 1)
    assert torch.allclose(log_normal(z, mean, log_std), first.log_prob(z))
    assert torch.allclose(kl_normal(mean, log_std, other, other_log_std), kl_divergence(first, second))
    log_q, log_p = torch.randn(2, 5, 4, generator=random, dtype=torch.float64).log_softmax(-1)
    wanted = kl_divergence(Categorical(logits=log_q), Categorical(logits=log_p))
    assert torch.allclose(kl_categorical(log_q, log_p), wanted)


def test_draws_follow_the_mixture(random):
    posterior, n = some_posterior(), 20_000
    z = sample_mixture(repeated(Posterior(*(part[:1] for part in posterior)), n), random)[:, 0].numpy()
    parts = posterior.log_q.exp(), posterior.mean, posterior.log_std.exp()
    q, mean, std = (part[0].numpy() for part in parts)
    edges = np.linspace(-4, 4, 33)
    cdf = (q[:, None] * Normal(0.0, 1.0).cdf(torch.from_numpy((edges - mean) / std)).numpy()).sum(0)
    below = np.array([(z < edge).mean() for edge in edges])
    assert np.abs(below - cdf).max() < 1.95 / math.sqrt(n)  # Kolmogorov-Smirnov, p = .001


def test_a_draw_passes_gradients_to_all_parameters(prior, random):
    parts = [part.clone().requires_grad_() for part in some_posterior()]
    sample_mixture(Posterior(*parts), random).square().sum().backward()
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in parts)


def test_the_exact_gradient_of_q_is_that_of_the_integral(prior, random):
    x, n = torch.tensor([0.8, -1.7], dtype=torch.float64), 40_000
    logits = some_posterior().log_q.clone().requires_grad_()
    posterior = some_posterior()._replace(log_q=logits.log_softmax(1))
    integrated_elbo(x, posterior, prior).sum().backward()
    wanted, logits.grad = logits.grad, None
    posterior = some_posterior()._replace(log_q=logits.log_softmax(1))
    terms = exact_terms(repeated(posterior, n), prior, log_likelihood_of(x.repeat_interleave(n)), random)
    (terms.elbo.sum() / n).backward()
    assert torch.allclose(logits.grad, wanted, atol=0.03)
