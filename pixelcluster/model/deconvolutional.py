"""The paper's plain generator of the 1 x 1 case: z and the one-hot y through five 4 x 4 deconvolutions.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, section 5. Where it
deviates: layers are cropped to the next size, so that sides of 25 to 32 pixels are possible.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.errors import PixelClusterError


class DeconvolutionalGenerator(nn.Module):
    """G(z, onehot(y)) by transposed convolutions.

    Args:
        n_clusters: K.
        channels: C of the images.
        side: R of the images explained, 25 to 32 pixels.
        n_latent: d.
        width: channels before the last layer; doubled with every layer towards z.
        seed: seeds the weights.

    Raises:
        PixelClusterError: another side.
    """

    def __init__(
        self,
        n_clusters: int,
        channels: int,
        side: int,
        *,
        n_latent: int = 100,
        width: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 25 <= side <= 32:
            raise PixelClusterError(
                f"side is {side}, but the deconvolutional generator draws 25 to 32 pixels"
            )
        self.n_clusters, self.channels, self.side, self.n_latent = n_clusters, channels, side, n_latent
        widths = [n_latent + n_clusters, 8 * width, 4 * width, 2 * width, width]
        self.sizes = [4, -(-side // 4), -(-side // 2), side, side]
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=stride, padding=padding)
            for before, after, stride, padding in zip(
                widths, [*widths[1:], channels], (1, 2, 2, 2, 1), (0, 1, 1, 1, 1), strict=True
            )
        )
        random = torch.Generator().manual_seed(seed)
        # He et al., 2015, by the taps that reach an output: one of a 1 x 1 input, else 16 / stride^2.
        taps = {"0": 1, "4": 16}
        for name, value in self.layers.named_parameters():
            layer, _, kind = name.partition(".")
            if kind == "weight":
                with torch.no_grad():
                    value.normal_(0, (2 / (value.shape[0] * taps.get(layer, 4))) ** 0.5, generator=random)
            else:
                nn.init.zeros_(value)

    def unlock(self, *, warp: bool, appearance: bool) -> None:
        """Nothing is learned coarse to fine here."""

    def select(self, kept: Tensor) -> DeconvolutionalGenerator:
        """Return a generator of the clusters where kept (K,) bool is True only."""
        smaller = copy.deepcopy(self)
        smaller.n_clusters = int(kept.sum())
        first = smaller.layers[0]
        weight = torch.as_tensor(first.weight).detach()
        inputs = torch.cat([torch.ones(self.n_latent, dtype=torch.bool, device=kept.device), kept])
        first.weight = nn.Parameter(weight[inputs])
        return smaller

    def mean(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return G(z, y), (B, C, R, R), from z (B, d) and labels (B,) int64."""
        field = torch.cat([z, functional.one_hot(labels, self.n_clusters).to(z.dtype)], dim=1)[
            ..., None, None
        ]
        for index, (layer, size) in enumerate(zip(self.layers, self.sizes, strict=True)):
            field = layer(field)[..., :size, :size]
            if index < len(self.layers) - 1:
                field = functional.leaky_relu(field, 0.2)
        return torch.sigmoid(field)

    def means(self, z: Tensor) -> Tensor:
        """Return G(z_k, k) of all clusters, (B, K, C, R, R), from z (B, K, d), a latent a cluster."""
        labels = torch.arange(self.n_clusters, device=z.device).repeat(len(z))
        return self.mean(z.flatten(0, 1), labels).view(*z.shape[:2], self.channels, self.side, self.side)
