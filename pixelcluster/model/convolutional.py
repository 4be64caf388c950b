"""The second form of the generator: the one-hot label map itself passes through convolutions.

    h_0 = [trunk(z); onehot(y)],    h_i = conv_i(silu(h_{i-1})) (the first without silu),    G(z, y) = h_n

A label moves the mean in a square of `receptive_field` cells around it, and its Gibbs conditional sums the
likelihood over that square. Squares of cells one receptive field apart do not overlap, so all cells of such a
colour share K candidate passes: each sets all of them to k, then a box filter sums the likelihood of squares.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 1-7.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.generator import CandidateEvidence
from pixelcluster.model.graph import Cells
from pixelcluster.model.likelihood import LabelGroups, mask_out, rows
from pixelcluster.model.noise import NoiseKind, NoiseParameters
from pixelcluster.model.trunk import Trunk, initialise


class ConvolutionalGenerator(nn.Module):
    """G(z, y) with the label map inside the convolutions; a Gibbs sweep costs K receptive_field^2 passes.

    Args:
        n_clusters: K.
        n_channels: D, channels of the target stack.
        latent_channels: d; 0 switches z off.
        latent_stride: side of a latent cell, in label cells; None: one latent cell per image.
        width: channels of the trunk and of the label convolutions.
        n_layers: convolutions the label map passes through.
        kernel_size: of these convolutions, odd.
        noise: "isotropic" (one sigma) or "full" (one covariance per cluster).
        sigma: noise at the start, in units of the normalised targets.
        learn_noise: whether the noise has a gradient.
        seed: seeds the weights.

    Raises:
        PixelClusterError: an even kernel or no layer.
    """

    def __init__(
        self,
        n_clusters: int,
        n_channels: int,
        *,
        latent_channels: int = 4,
        latent_stride: int | None = 8,
        width: int = 32,
        n_layers: int = 2,
        kernel_size: int = 3,
        noise: NoiseKind = "isotropic",
        sigma: float = 0.3,
        learn_noise: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0 or n_layers < 1:
            raise PixelClusterError(
                f"{n_layers} layers of kernel {kernel_size}, wanted at least 1 and an odd kernel"
            )
        self.n_clusters, self.n_channels = n_clusters, n_channels
        self.receptive_field = 1 + n_layers * (kernel_size - 1)
        self.trunk = Trunk(latent_channels, latent_stride, width)
        channels = [self.trunk.width + n_clusters, *[width] * (n_layers - 1), n_channels]
        self.first, *others = (
            nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2)
            for inputs, outputs in pairwise(channels)
        )
        self.others = nn.ModuleList(others)
        self.noise = NoiseParameters(noise, n_clusters, n_channels, sigma, learn_noise)
        initialise(self, torch.Generator().manual_seed(seed))

    def mean(self, features: Tensor, label_map: Tensor) -> Tensor:
        """Return G(z, y), (B, D, h, w), of features (B, F, h, w) and labels (B, h, w) int64."""
        one_hot = functional.one_hot(label_map, self.n_clusters).permute(0, 3, 1, 2).to(features.dtype)
        field: Tensor = self.first(torch.cat([features, one_hot], dim=1))
        for convolution in self.others:
            field = convolution(functional.silu(field))
        return field

    def log_likelihood(
        self, x: Tensor, features: Tensor, label_map: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return log p(x | z, y), (B,), nats; cells where mask (B, h, w) bool is False contribute nothing."""
        return self._map(x, features, label_map, mask).sum((1, 2))

    def given_labels(
        self, x: Tensor, label_map: Tensor, mask: Tensor | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Return `log_likelihood` as a function of the features only."""
        return lambda features: self.log_likelihood(x, features, label_map, mask)

    def evidence(self, x: Tensor, features: Tensor, mask: Tensor | None = None) -> CandidateEvidence:
        """Return the function that gives the evidence of a colour's candidates, see `CandidateEvidence`."""

        def of_candidates(label_map: Tensor, cells: Cells) -> Tensor:
            candidates = []
            for k in range(self.n_clusters):
                changed = label_map.clone()
                changed[cells] = k
                squares = _box_sum(self._map(x, features, changed, mask), self.receptive_field)
                candidates.append(squares[cells])
            return torch.stack(candidates, dim=1)

        return of_candidates

    def _map(self, x: Tensor, features: Tensor, label_map: Tensor, mask: Tensor | None) -> Tensor:
        """Return log p(x_p | z, y), (B, h, w), 0 where masked."""
        residuals = rows(x - self.mean(features, label_map))
        cells = self.noise().log_prob(residuals, LabelGroups(label_map.flatten(), self.n_clusters))
        return mask_out(cells.view(label_map.shape), mask)


def _box_sum(values: Tensor, side: int) -> Tensor:
    """Return the sum over the square of an odd side around each cell of (B, h, w), cut at the border."""
    sums: Tensor = functional.avg_pool2d(
        values[:, None], side, stride=1, padding=side // 2, divisor_override=1
    )
    return sums.squeeze(1)
