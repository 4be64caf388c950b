"""The log joint of the 1 x 1 case, for all clusters at once, and what Gibbs is given of it.

With one z-chain per cluster the state is (y, z_1..z_K): the product space of Carlin and Chib, in which the
chains of the clusters an image is not in follow their own posterior p(z_k | x, y = k). Given y no chain
depends on it, so

    p(y = k | x, z) ~ p(k) p(x, z_k | k) / p(z_k | x, k) = p(k) p(x | k):

z is integrated out and y cannot freeze. With one shared z, the paper's chain, z adapts to the current y, and
the other clusters are judged by a z that was never theirs: that is what freezes y. For p(z_k | x, k) stands
the Gaussian q(z_k | x, k) of the recognition network, a pseudo-prior in their terms: a cluster pays for the
precision its z needs.

Sources: Carlin and Chib, Bayesian model choice via MCMC, JRSS B 1995; Zhu et al., eq. 4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor


class Gaussian(NamedTuple):
    """q(z_k | x, k), independent entries.

    Attributes:
        mean: (B, K or 1, d).
        log_scale: (B, K or 1, d), log standard deviation.
    """

    mean: Tensor
    log_scale: Tensor

    @property
    def variance(self) -> Tensor:
        """(B, K or 1, d)."""
        return (2 * self.log_scale).exp()

    def standardised(self, z: Tensor) -> Tensor:
        """Return (z - mean) / scale."""
        return (z - self.mean) / self.log_scale.exp()

    def divergence(self) -> Tensor:
        """Return KL(q || N(0, I)), (B, K or 1), nats."""
        return ((self.mean.square() + self.variance - 1) / 2 - self.log_scale).sum(2)

    def detach(self) -> Gaussian:
        """Return it without gradient."""
        return Gaussian(self.mean.detach(), self.log_scale.detach())


class ImageGenerator(Protocol):
    """What clustering asks of a generator of whole images; K clusters, d latents, C x R x R images."""

    n_clusters: int
    n_latent: int
    channels: int
    side: int

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return G(z, y), (B, C, R, R), from z (B, d) and labels (B,) int64."""

    def means(self, z: Tensor) -> Tensor:
        """Return G(z_k, k), (B, K, C, R, R), from z (B, K, d)."""

    def select(self, kept: Tensor) -> ImageGenerator:
        """Return a generator of the clusters where kept (K,) bool is True only."""

    def unlock(self, *, warp: bool, appearance: bool) -> None:
        """Switch parts of z on or off."""


def log_likelihoods(generator: ImageGenerator, x: Tensor, z: Tensor, sigma: float) -> Tensor:
    """Return log p(x | z_k, k) + constant, (B, K), nats, from x (B, C, R, R) and z (B, K or 1, d)."""
    z = z.expand(-1, generator.n_clusters, -1)
    return (x[:, None] - generator.means(z)).square().flatten(2).sum(2) / (-2 * sigma**2)


def log_joint(
    generator: ImageGenerator, x: Tensor, labels: Tensor | None, sigma: float
) -> Callable[[Tensor], Tensor]:
    """Return the target of Langevin as a function of z, (B,), nats (eq. 4).

    Args:
        generator: G.
        x: (B, C, R, R).
        labels: (B,) int64 for one shared z (B, 1, d); None: the sum over the chains of all clusters, z (B,
            K, d).
        sigma: standard deviation of the noise.
    """

    def of_latent(z: Tensor) -> Tensor:
        log_latent = z.square().flatten(1).sum(1) / -2
        if labels is None:
            return log_latent + log_likelihoods(generator, x, z, sigma).sum(1)
        residual = x - generator.mean(z[:, 0], labels)
        return log_latent + residual.square().flatten(1).sum(1) / (-2 * sigma**2)

    return of_latent


def log_evidence(generator: ImageGenerator, x: Tensor, z: Tensor, stated: Gaussian, sigma: float) -> Tensor:
    """Return log p(x, z_k | k) - log q(z_k | x, k) up to a constant, (B, K), nats: what Gibbs compares.

    Where q is the posterior it is log p(x | k) whatever z is; for z drawn from it, see `laplace_evidence` for
    its mode.

    Args:
        generator: G.
        x: (B, C, R, R).
        z: (B, K or 1, d), the chains.
        stated: q, the recognition network's.
        sigma: standard deviation of the noise.
    """
    ratio = stated.log_scale + (stated.standardised(z).square() - z.square()) / 2
    values: Tensor = log_likelihoods(generator, x, z, sigma) + ratio.sum(2)
    return values


def laplace_evidence(
    generator: ImageGenerator, x: Tensor, z: Tensor, stated: Gaussian, sigma: float
) -> Tensor:
    """Return Laplace's approximation of log p(x | k) up to a constant, (B, K), nats.

    The scales are those that q states. A mode away from q's mean is no less likely for it, so that q's own
    density at z, which `log_evidence` divides by, has no place here.

    Args:
        generator: G.
        x: (B, C, R, R).
        z: (B, K, d), the modes of p(z_k | x, k).
        stated: q, the recognition network's.
        sigma: standard deviation of the noise.
    """
    values: Tensor = log_likelihoods(generator, x, z, sigma) + (stated.log_scale - z.square() / 2).sum(2)
    return values


def tempered_sigma(sigma: float, side: int) -> float:
    """Return sigma at `side` pixels: neighbours are not independent, evidence stays that of 14 x 14."""
    return sigma * max(side / 14, 1.0)
