"""The clustered generator with per-cluster affine heads: all K means of every pixel from one trunk pass.

    x = G(z, y) + e,    G(z, y)_p = V f_p + W_{y_p} [1; U f_p],    f = trunk(z),    z ~ N(0, I)

V f is shared by the clusters; W embeds the label: cluster means, and loadings on R features U f. Given z, the
label of a pixel moves only that pixel: the Gibbs conditionals of all pixels are exact and cost one trunk
pass and K heads. Given y, the log-likelihood is a quadratic of f: a Langevin step costs little more than the
trunk and never touches the D channels. Without latent channels it is a Gaussian mixture; on a 1 x 1 label map
it clusters images.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 1-7.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.graph import Cells
from pixelcluster.model.likelihood import (
    LabelGroups,
    log_likelihood_all,
    log_likelihood_of_features,
    mask_out,
    rows,
)
from pixelcluster.model.noise import NoiseKind, NoiseParameters
from pixelcluster.model.trunk import Trunk, initialise

# From a label map (B, h, w) and cells: log p(x | z, y with y_p = k) up to a constant in k, (B, K, *cells).
CandidateEvidence = Callable[[Tensor, Cells], Tensor]


class Generator(Protocol):
    """What inference and learning ask of a generator.

    Attributes:
        n_clusters: K.
        n_channels: D.
        receptive_field: side of the square of cells whose mean one label moves (1: its own cell).
        trunk: z (B, d, hz, wz) to features (B, F, h, w).
    """

    n_clusters: int
    n_channels: int
    receptive_field: int
    trunk: Trunk

    def mean(self, features: Tensor, label_map: Tensor) -> Tensor:
        """Return G(z, y), (B, D, h, w)."""

    def log_likelihood(
        self, x: Tensor, features: Tensor, label_map: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return log p(x | z, y), (B,), nats, differentiable in everything; the objective of learning."""

    def given_labels(
        self, x: Tensor, label_map: Tensor, mask: Tensor | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Return `log_likelihood` as a function of the features only, for Langevin."""

    def evidence(self, x: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor | CandidateEvidence:
        """Return what Gibbs needs: (B, K, h, w) where labels do not interact through G, else a function."""


class ClusteredGenerator(nn.Module):
    """G(z, y) with affine cluster heads on a convolutional trunk.

    Args:
        n_clusters: K.
        n_channels: D, channels of the target stack.
        latent_channels: d; 0 switches z off and leaves a mixture.
        latent_stride: side of a latent cell, in label cells; None: one latent cell per image.
        width: F, channels of the trunk.
        n_features: R, features of the cluster heads (none without z).
        noise: "isotropic" (one sigma) or "full" (one covariance per cluster).
        sigma: noise at the start, in units of the normalised targets.
        learn_noise: whether the noise has a gradient.
        seed: seeds the weights.
    """

    receptive_field = 1

    def __init__(
        self,
        n_clusters: int,
        n_channels: int,
        *,
        latent_channels: int = 4,
        latent_stride: int | None = 8,
        width: int = 32,
        n_features: int = 4,
        noise: NoiseKind = "isotropic",
        sigma: float = 0.3,
        learn_noise: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_clusters, self.n_channels = n_clusters, n_channels
        self.trunk = Trunk(latent_channels, latent_stride, width)
        random = torch.Generator().manual_seed(seed)
        initialise(self.trunk, random)
        width, n_features = self.trunk.width, n_features if latent_channels else 0
        scale = 1 / math.sqrt(max(width, 1))
        self.shared = nn.Parameter(torch.randn(n_channels, width, generator=random) * scale)
        self.project = nn.Parameter(torch.randn(n_features, width, generator=random) * scale)
        # Means are as far apart as normalised targets; loadings start small, so that labels explain first.
        heads = torch.randn(n_clusters, n_channels, 1 + n_features, generator=random)
        heads[..., 1:] *= 0.1
        self.heads = nn.Parameter(heads)
        self.noise = NoiseParameters(noise, n_clusters, n_channels, sigma, learn_noise)

    def mean(self, features: Tensor, label_map: Tensor) -> Tensor:
        """Return G(z, y), (B, D, h, w), of features (B, F, h, w) and labels (B, h, w) int64."""
        means = self._means(rows(features), LabelGroups(label_map.flatten(), self.n_clusters))
        return means.view(*label_map.shape, -1).permute(0, 3, 1, 2)

    def log_likelihood(
        self, x: Tensor, features: Tensor, label_map: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return log p(x | z, y), (B,), nats, differentiable in features and parameters.

        Args:
            x: (B, D, h, w) normalised targets.
            features: (B, F, h, w), trunk(z).
            label_map: (B, h, w) int64.
            mask: (B, h, w) bool; cells where it is False contribute nothing.
        """
        groups = LabelGroups(label_map.flatten(), self.n_clusters)
        cells = self.noise().log_prob(rows(x) - self._means(rows(features), groups), groups)
        return mask_out(cells.view(label_map.shape), mask).flatten(1).sum(1)

    def given_labels(
        self, x: Tensor, label_map: Tensor, mask: Tensor | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Return `log_likelihood` as a function of the features only, without parameters' gradients."""
        with torch.no_grad():
            groups = LabelGroups(label_map.flatten(), self.n_clusters)
            residuals = rows(x) - self.heads[..., 0].index_select(0, groups.labels)
            maps = self.shared + self.heads[..., 1:] @ self.project
            weights = None if mask is None else mask.flatten().to(x.dtype)
            evaluate = log_likelihood_of_features(residuals, maps, groups, self.noise(), weights)
        return lambda features: evaluate(rows(features)).view(len(features), -1).sum(1)

    def evidence(self, x: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(x_p | z, y_p = k), (B, K, h, w), nats; 0 where mask (B, h, w) bool is False."""
        batch, _, height, width = x.shape
        flat = rows(features)
        residuals = torch.addmm(rows(x), flat, self.shared.T, alpha=-1)
        values = log_likelihood_all(residuals, self._inputs(flat), self.heads, self.noise())
        maps = values.view(-1, batch, height, width).transpose(0, 1)
        return mask_out(maps, None if mask is None else mask[:, None])

    @torch.no_grad()
    def set_clusters(self, means: Tensor, covariances: Tensor | None = None) -> None:
        """Start from given clusters; the loadings on the features stay.

        Args:
            means: (K, D).
            covariances: (K, D, D), for noise "full" only.

        Raises:
            PixelClusterError: wrong shape, covariances for isotropic noise, or one not positive definite.
        """
        wanted = tuple(self.heads.shape[:2])
        if means.shape != wanted:
            raise PixelClusterError(f"means have shape {tuple(means.shape)}, wanted (K, D) = {wanted}")
        self.heads[..., 0] = means
        if covariances is not None:
            self.noise.set_covariances(covariances)

    def select(self, kept: Tensor) -> ClusteredGenerator:
        """Return a generator of the clusters where kept (K,) bool is True only, weights copied."""
        smaller = copy.deepcopy(self)
        smaller.n_clusters = int(kept.sum())
        smaller.heads = nn.Parameter(self.heads.detach()[kept])
        smaller.noise.select(kept)
        return smaller

    def _means(self, features: Tensor, groups: LabelGroups) -> Tensor:
        """Return the means (N, D) of features (N, F); work does not grow with K."""
        return features @ self.shared.T + groups.multiply(self._inputs(features), self.heads)

    def _inputs(self, features: Tensor) -> Tensor:
        """Return [1; U f], (N, 1 + R), of features (N, F)."""
        return nn.functional.pad(features @ self.project.T, (1, 0), value=1.0)


def log_joint(
    generator: Generator,
    x: Tensor,
    label_map: Tensor,
    *,
    tempering: float = 1.0,
    mask: Tensor | None = None,
    drift: tuple[Tensor, float] | None = None,
) -> Callable[[Tensor], Tensor]:
    """Return log p(z) + log p(x | z, y) / tempering (eq. 4) as a function of z, the target of Langevin.

    Args:
        generator: G and its noise.
        x: (B, D, h, w) normalised targets.
        label_map: (B, h, w) int64.
        tempering: divisor of the evidence, 1 or more: neighbouring pixels are not independent.
        mask: (B, h, w) bool; False: the cell contributes nothing.
        drift: mean (B, d, hz, wz) and standard deviation of a Gaussian p(z); None: 0 and 1.

    Returns:
        A function from z (B, d, hz, wz) to (B,), nats.
    """
    size = (x.shape[2], x.shape[3])
    log_likelihood = generator.given_labels(x, label_map, mask)
    return lambda z: log_latent(z, drift) + log_likelihood(generator.trunk(z, size)) / tempering


def log_latent(z: Tensor, drift: tuple[Tensor, float] | None = None) -> Tensor:
    """Return log p(z), (B,), nats, of z (B, d, hz, wz); drift as in `log_joint`."""
    mean, scale = drift or (0.0, 1.0)
    standard = (z - mean) / scale
    return (standard.square() + math.log(2 * math.pi * scale**2)).flatten(1).sum(1) / -2
