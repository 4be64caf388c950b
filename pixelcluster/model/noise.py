"""Parameters of the target noise: one sigma (fixed, annealed or learned), or a covariance of each cluster."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.likelihood import FullNoise, IsotropicNoise, Noise

NoiseKind = Literal["isotropic", "full"]


class NoiseParameters(nn.Module):
    """Log precisions; calling the module gives the `Noise` of the likelihood.

    Args:
        kind: "isotropic" (one sigma) or "full" (one covariance per cluster).
        n_clusters: K.
        n_channels: D.
        sigma: standard deviation at the start, in units of the normalised targets.
        learn: whether the parameters require grad.

    Raises:
        PixelClusterError: unknown kind, or sigma is not positive.
    """

    def __init__(self, kind: NoiseKind, n_clusters: int, n_channels: int, sigma: float, learn: bool) -> None:
        super().__init__()
        if kind not in ("isotropic", "full"):
            raise PixelClusterError(f"noise is {kind!r}, wanted 'isotropic' or 'full'")
        self.kind = kind
        shape = (n_clusters, n_channels, n_channels) if kind == "full" else ()
        # -log sigma; or per cluster the strict lower triangle of L and, on the diagonal, the log of L's.
        self.log_precision = nn.Parameter(torch.empty(shape), requires_grad=learn)
        self.set_sigma(sigma)

    def forward(self) -> Noise:
        """Return the noise at the present parameters."""
        if self.kind == "isotropic":
            return IsotropicNoise((-self.log_precision).exp())
        diagonal = self.log_precision.diagonal(dim1=1, dim2=2).exp()
        return FullNoise(self.log_precision.tril(-1) + torch.diag_embed(diagonal))

    @torch.no_grad()
    def set_sigma(self, sigma: float) -> None:
        """Make every covariance sigma^2 I, as the caller's annealing does.

        Raises:
            PixelClusterError: sigma is not positive.
        """
        if not sigma > 0:
            raise PixelClusterError(f"sigma is {sigma}, wanted a positive number")
        if self.kind == "isotropic":
            self.log_precision.fill_(-math.log(sigma))
        else:
            self.log_precision.zero_().diagonal(dim1=1, dim2=2).fill_(-math.log(sigma))

    def select(self, kept: Tensor) -> None:
        """Forget the clusters where kept (K,) bool is False."""
        if self.kind == "full":
            factors = self.log_precision.detach()[kept]
            self.log_precision = nn.Parameter(factors, requires_grad=self.log_precision.requires_grad)

    @torch.no_grad()
    def set_covariances(self, covariances: Tensor) -> None:
        """Take the covariances (K, D, D) of the clusters.

        Raises:
            PixelClusterError: the noise is isotropic, or a covariance is not positive definite.
        """
        if self.kind == "isotropic":
            raise PixelClusterError(
                "isotropic noise takes no covariances; build the generator with noise='full'"
            )
        # The inverse of an elongated covariance would lose digits in float32.
        lower, failed = torch.linalg.cholesky_ex(covariances.double())
        if failed.any():
            which = failed.nonzero().flatten().tolist()
            raise PixelClusterError(f"covariances of clusters {which} are not positive definite; add a ridge")
        factor = torch.linalg.cholesky(torch.cholesky_inverse(lower))
        self.log_precision.copy_(factor.tril(-1) + torch.diag_embed(factor.diagonal(dim1=1, dim2=2).log()))
