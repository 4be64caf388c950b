"""The generator of the 1 x 1 case: each cluster is a template that affine maps, warps and appearance move.

    x = G(z, y) + e,    G(z, y) = (T_y + sum_j a_j B_yj) sampled at  u + A [u; 1] + sum_c phi_c(u) w_c
    (A, w, a) = m_y + L_y z,    z ~ N(0, I)

z given y is Gaussian in geometry and appearance, N(m_y, L_y L_y'), folded into G so that its prior stays
N(0, I). All parts of the sampling grid are linear in (A, w): the grids of all images and clusters are one
product.

Sources: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 1-4;
transformation-invariant clustering, Frey and Jojic, PAMI 2003, and Monnier, Groueix and Aubry, NeurIPS 2020;
radial warps, Bookstein, PAMI 1989.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

_AFFINE_SCALE = 0.2
_WARP_SCALE = 0.08
"""Standard deviations of affine entries and of warp displacements at the start; half a side is 1."""


class TransformGenerator(nn.Module):
    """Templates under affine maps, warps, appearance factors and, in colour, a gain and offset a channel.

    Args:
        n_clusters: K.
        channels: C of the images.
        side: R, side of the templates and the images explained, in pixels.
        n_factors: appearance factors per cluster.
        warp_grid: control points a side of the warp.
        seed: seeds the factors.

    Attributes:
        n_latent: d, entries of z: 6 affine, 2 warp_grid^2 warp, n_factors appearance, 2 C colour (C > 1).
    """

    _base: Tensor
    _basis: Tensor
    _stage: Tensor

    def __init__(
        self,
        n_clusters: int,
        channels: int,
        side: int,
        *,
        n_factors: int = 8,
        warp_grid: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_clusters, self.channels, self.side, self.n_factors = n_clusters, channels, side, n_factors
        self.n_geometry = 6 + 2 * warp_grid**2
        self.n_colour = 2 * channels if channels > 1 else 0
        self.n_latent = self.n_geometry + n_factors + self.n_colour
        size = channels * side * side
        random = torch.Generator().manual_seed(seed)
        self.templates = nn.Parameter(torch.zeros(n_clusters, size))
        self.factors = nn.Parameter(0.01 * torch.randn(n_clusters, n_factors, size, generator=random))
        self.latent_mean = nn.Parameter(torch.zeros(n_clusters, self.n_latent))
        self.latent_scale = nn.Parameter(torch.eye(self.n_latent).repeat(n_clusters, 1, 1))
        base, basis = sampling_basis(side, warp_grid)
        self.register_buffer("_base", base, persistent=False)
        self.register_buffer("_basis", basis, persistent=False)
        self.register_buffer("_stage", torch.ones(self.n_latent), persistent=False)

    def unlock(self, *, warp: bool, appearance: bool) -> None:
        """Switch parts of z on or off: coarse-to-fine learning lets affine maps explain first."""
        self._stage[6 : self.n_geometry] = float(warp)
        self._stage[self.n_geometry :] = float(appearance)

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return G(z, y), (B, C, R, R), from z (B, d) and labels (B,) int64."""
        latent = self.latent_mean[labels] + (self.latent_scale[labels].tril() @ z[..., None])[..., 0]
        latent = latent * self._stage
        weights = latent[:, None, self.n_geometry : self.n_geometry + self.n_factors]
        return self._sample(self.templates[labels] + (weights @ self.factors[labels])[:, 0], latent)

    def means(self, z: Tensor) -> Tensor:
        """Return G(z_k, k) of all clusters, (B, K, C, R, R), from z (B, K, d), a latent a cluster."""
        batch = len(z)
        by_cluster = z.transpose(0, 1)  # (K, B, d): K products of matrices
        latent = self.latent_mean[:, None] + by_cluster @ self.latent_scale.tril().transpose(1, 2)
        latent = latent * self._stage
        weights = latent[..., self.n_geometry : self.n_geometry + self.n_factors]
        pictures = torch.baddbmm(self.templates[:, None], weights, self.factors)
        drawn = self._sample(pictures.flatten(0, 1), latent.flatten(0, 1))
        return drawn.view(self.n_clusters, batch, *drawn.shape[1:]).transpose(0, 1)

    @torch.no_grad()
    def set_template(self, cluster: int, image: Tensor) -> None:
        """Put a cluster onto an image (C, R, R): factors down to a tenth, the latent prior to its start."""
        self.templates[cluster] = image.flatten()
        self.factors[cluster] *= 0.1
        self.latent_mean[cluster] = 0
        self.latent_scale[cluster] = torch.eye(self.n_latent, device=image.device)

    def select(self, kept: Tensor) -> TransformGenerator:
        """Return a generator of the clusters where kept (K,) bool is True only."""
        smaller = copy.deepcopy(self)
        smaller.n_clusters = int(kept.sum())
        for name, value in self.named_parameters():
            setattr(smaller, name, nn.Parameter(value.detach()[kept]))
        return smaller

    def _sample(self, pictures: Tensor, latent: Tensor) -> Tensor:
        """Draw pictures (M, C R R) on the grids of latents (M, d), (M, C, R, R); 0 outside, as torch pads."""
        grid = torch.addmm(self._base, latent[:, : self.n_geometry], self._basis)
        drawn = functional.grid_sample(
            pictures.view(-1, self.channels, self.side, self.side),
            grid.view(-1, self.side, self.side, 2),
            mode="bilinear",
            padding_mode="border" if self.n_colour else "zeros",
            align_corners=False,
        )
        if not self.n_colour:
            return drawn
        gain, offset = latent[:, -self.n_colour :, None, None].chunk(2, dim=1)
        return drawn * (0.3 * gain).exp() + 0.2 * offset


def sampling_basis(side: int, warp_grid: int) -> tuple[Tensor, Tensor]:
    """Return the identity grid (2 P,) and the basis (6 + 2 g^2, 2 P) of sampling grids, P = side^2 pixels.

    Coordinates run over [-1, 1], x before y, as `grid_sample` wants; rows are the entries of the 2 x 3 affine
    matrix and the displacements of g x g control points, whose Gaussians are as wide as the points are apart.
    """
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    v, u = (field.flatten() for field in torch.meshgrid(axis, axis, indexing="ij"))
    control = (torch.arange(warp_grid) + 0.5) / warp_grid * 2 - 1
    cv, cu = (field.flatten() for field in torch.meshgrid(control, control, indexing="ij"))
    squared = (u - cu[:, None]).square() + (v - cv[:, None]).square()
    bumps = torch.exp(-squared / (2 * (2 / warp_grid) ** 2))
    profiles = torch.cat(
        [_AFFINE_SCALE * torch.stack([u, v, torch.ones_like(u)]), _WARP_SCALE * bumps]
    )  # (3 + g^2, P)
    basis = torch.einsum("jp,ab->japb", profiles, torch.eye(2)).reshape(2 * len(profiles), -1)
    return torch.stack([u, v], dim=1).flatten(), basis
