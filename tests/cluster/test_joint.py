"""The evidence of a cluster against the closed form of a linear generator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from pixelcluster.cluster.joint import Gaussian, laplace_evidence, log_evidence, log_joint, tempered_sigma

SIGMA = 0.5


class Linear:
    """G(z, y) = b_y + W_y z with orthogonal columns, so that p(z | x, y) has a diagonal covariance."""

    n_clusters, n_latent, channels, side = 3, 2, 1, 2

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.offsets = torch.randn(3, 4, generator=random)
        bases = torch.linalg.qr(torch.randn(3, 4, 2, generator=random)).Q
        self.loadings = bases * torch.tensor([[0.3, 2.0], [1.0, 0.1], [3.0, 0.7]])[:, None]

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return G(z, y)."""
        return (self.offsets[labels] + (self.loadings[labels] @ z[..., None])[..., 0]).view(-1, 1, 2, 2)

    def means(self, z: Tensor) -> Tensor:
        """Return G(z_k, k)."""
        values = self.offsets + torch.einsum("kpd,bkd->bkp", self.loadings, z)
        return values.view(len(z), 3, 1, 2, 2)

    def select(self, kept: Tensor) -> Linear:
        """Never pruned."""
        return self

    def unlock(self, *, warp: bool, appearance: bool) -> None:
        """Nothing to switch."""


def posterior(generator: Linear, x: Tensor) -> Gaussian:
    """Return p(z_k | x, k)."""
    squares = generator.loadings.square().sum(1)
    variance = 1 / (1 + squares / SIGMA**2)
    residual = x.flatten(1)[:, None] - generator.offsets
    mean = torch.einsum("kpd,bkp->bkd", generator.loadings, residual) / SIGMA**2 * variance
    return Gaussian(mean, variance.log().expand(len(x), -1, -1) / 2)


def marginals(generator: Linear, x: Tensor) -> Tensor:
    """Return log p(x | k), that of N(b_k, W_k W_k' + sigma^2 I), (B, K)."""
    values = [
        MultivariateNormal(offset, loadings @ loadings.T + SIGMA**2 * torch.eye(4)).log_prob(x.flatten(1))
        for offset, loadings in zip(generator.offsets, generator.loadings, strict=True)
    ]
    return torch.stack(values, dim=1)


def test_evidence_is_the_marginal_likelihood() -> None:
    """With z integrated out, wherever the chains are."""
    generator = Linear()
    x = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    stated = posterior(generator, x)
    z = torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(2))
    found, wanted = log_evidence(generator, x, z, stated, SIGMA), marginals(generator, x)
    torch.testing.assert_close(found - found[:, :1], wanted - wanted[:, :1], rtol=1e-4, atol=1e-4)


def test_at_the_mode_a_wrong_mean_of_q_changes_nothing() -> None:
    """Laplace's approximation is exact for a Gaussian; q's own density would rank by q's mistakes."""
    generator = Linear()
    random = torch.Generator().manual_seed(1)
    x = torch.randn(5, 1, 2, 2, generator=random)
    exact = posterior(generator, x)
    wrong = exact._replace(mean=exact.mean + torch.randn(5, 3, 2, generator=random))
    found, wanted = laplace_evidence(generator, x, exact.mean, wrong, SIGMA), marginals(generator, x)
    torch.testing.assert_close(found - found[:, :1], wanted - wanted[:, :1], rtol=1e-4, atol=1e-4)
    divided = log_evidence(generator, x, exact.mean, wrong, SIGMA)
    assert not torch.equal(divided.argmax(1), wanted.argmax(1))


def test_without_the_volume_a_flexible_cluster_wins_too_much() -> None:
    """The Laplace term matters: the cluster with the stiffest z pays most."""
    generator = Linear()
    x = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    stated = posterior(generator, x)
    paid = log_evidence(generator, x, stated.mean, stated, SIGMA)
    free = log_evidence(
        generator, x, stated.mean, Gaussian(stated.mean, torch.zeros_like(stated.log_scale)), SIGMA
    )
    assert ((free - paid).argmax(1) == 2).all()


def test_the_joint_of_all_chains_is_the_sum_over_clusters() -> None:
    """Product space: each chain has the joint of its own cluster, whatever y is."""
    generator = Linear()
    random = torch.Generator().manual_seed(2)
    x, z = torch.randn(4, 1, 2, 2, generator=random), torch.randn(4, 3, 2, generator=random)
    total = log_joint(generator, x, None, SIGMA)(z)
    each = [log_joint(generator, x, torch.full((4,), k), SIGMA)(z[:, k : k + 1]) for k in range(3)]
    torch.testing.assert_close(total, torch.stack(each).sum(0))


def test_evidence_does_not_grow_with_resolution() -> None:
    """Four times the pixels at the tempered sigma weigh as much as before."""
    assert 28**2 / tempered_sigma(0.3, 28) ** 2 == 14**2 / tempered_sigma(0.3, 14) ** 2
