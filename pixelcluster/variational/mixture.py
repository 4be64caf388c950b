"""The evidence lower bound of a VAE with mixture prior and mixture posterior, as pure functions.

    prior     p(c) N(z; mu_c, diag sigma_c^2)
    posterior q(z, c | x) = q(c | x) q(z | x, c),  q(z | x, c) = N(m_c(x), diag s_c(x)^2)
    ELBO      sum_c q(c | x) [E_q(z | x, c) log p(x | z) - KL(q(z | x, c) || p(z | c))] - KL(q(c | x) || p(c))

Both KLs are closed forms and summed over c exactly. The expected log-likelihood takes one reparametrised draw
of z: one a cluster, summed exactly over c (`exact_terms`), or one in all, whose c is a straight-through
Gumbel-softmax draw (`sampled_terms`): a K-th of the decodings, unbiased in value, biased in the gradient of
q(c | x) only.

Sources: Prasad, Das, Bhowmick, Variational Clustering, 2020 (arXiv 2005.04613), for the model; Jang, Gu,
Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017, for the discrete draw, in place of the
paper's own reparametrisation of the mixed latent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LogLikelihood = Callable[[Tensor], Tensor]


class Posterior(NamedTuple):
    """q(z, c | x) of B items: log q(c | x) (B, K); mean and log standard deviation of z given c (B, K, d)."""

    log_q: Tensor
    mean: Tensor
    log_std: Tensor


class Prior(NamedTuple):
    """p(z, c): log p(c) (K,); mean and log standard deviation of z given c (K, d)."""

    log_p: Tensor
    mean: Tensor
    log_std: Tensor


class Terms(NamedTuple):
    """The ELBO's terms, (B,) each, in nats."""

    log_likelihood: Tensor
    kl_z: Tensor
    kl_c: Tensor

    @property
    def elbo(self) -> Tensor:
        """The bound on log p(x), (B,)."""
        return self.log_likelihood - self.kl_z - self.kl_c


def log_normal(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return log N(z; mean, diag exp(log_std)^2), summed over the last dimension; shapes broadcast."""
    scaled = (z - mean) * (-log_std).exp()
    return -(0.5 * scaled.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(-1)


def kl_normal(mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor) -> Tensor:
    """Return KL(N(mean, diag std^2) || N(prior_mean, diag prior_std^2)), summed over the last dimension."""
    difference = log_std - prior_log_std
    distance = (mean - prior_mean) * (-prior_log_std).exp()
    return 0.5 * ((2 * difference).exp() + distance.square() - 1 - 2 * difference).sum(-1)


def kl_categorical(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(q || p) of log-probabilities over the last dimension."""
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def exact_terms(
    posterior: Posterior, prior: Prior, log_likelihood: LogLikelihood, generator: torch.Generator
) -> Terms:
    """Return the terms with the sum over c carried out: K decodings an item.

    Args:
        posterior: q(z, c | x).
        prior: p(z, c).
        log_likelihood: z (B, K, d) to log p(x | z) (B, K).
        generator: of the noise in z.
    """
    z = posterior.mean + posterior.log_std.exp() * _noise(posterior.mean, generator)
    expected = (posterior.log_q.exp() * log_likelihood(z)).sum(-1)
    return Terms(expected, *_divergences(posterior, prior))


def sampled_terms(
    posterior: Posterior,
    prior: Prior,
    log_likelihood: LogLikelihood,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> Terms:
    """Return the terms with one draw of (z, c) in the likelihood: one decoding an item.

    Args:
        posterior: q(z, c | x).
        prior: p(z, c).
        log_likelihood: z (B, d) to log p(x | z) (B,).
        generator: of the draws.
        temperature: of the softmax whose gradient stands in for that of the draw of c.
    """
    z = sample_mixture(posterior, generator, temperature)
    return Terms(log_likelihood(z), *_divergences(posterior, prior))


def sample_mixture(posterior: Posterior, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
    """Return z (B, d) from the mixture q(z | x), differentiable in all of its parameters.

    Forward, c is an exact draw of q(c | x) (Gumbel's maximum) and z of q(z | x, c); backward, the one-hot c
    passes the gradient of the tempered softmax.
    """
    uniform = torch.rand(posterior.log_q.shape, generator=generator, device=posterior.log_q.device)
    gumbel = -(-uniform.clamp(1e-12, 1 - 1e-7).log()).log()
    soft = ((posterior.log_q + gumbel) / temperature).softmax(-1)
    hard = functional.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    c = (hard + soft - soft.detach())[..., None]
    mean, log_std = (c * posterior.mean).sum(-2), (c * posterior.log_std).sum(-2)
    return mean + log_std.exp() * _noise(mean, generator)


def _divergences(posterior: Posterior, prior: Prior) -> tuple[Tensor, Tensor]:
    """Return the expected KL of z and the KL of c, (B,) each."""
    kl_z = kl_normal(posterior.mean, posterior.log_std, prior.mean, prior.log_std)
    return (posterior.log_q.exp() * kl_z).sum(-1), kl_categorical(posterior.log_q, prior.log_p)


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
