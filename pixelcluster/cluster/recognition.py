"""The recognition network: where the chains of a new image start, q(z_k | x) for every cluster.

It is learned on the same log joint that Langevin climbs, by reparametrisation, and gives the chains their
preconditioner: the variance it states. Source: Kingma and Welling, Auto-encoding variational Bayes, ICLR
    2014.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from pixelcluster.cluster.joint import Gaussian


def conv_features(channels: int, side: int, width: int) -> tuple[nn.Sequential, int]:
    """Return three strided convolutions and the length of their flattened output."""
    layers: list[nn.Module] = []
    for index in range(3):
        layers += [
            nn.Conv2d(channels if index == 0 else width * 2 ** (index - 1), width * 2**index, 3, 2, 1),
            nn.ReLU(),
        ]
        side = -(-side // 2)
    return nn.Sequential(*layers, nn.Flatten()), 4 * width * side * side


class Recognition(nn.Module):
    """Images (B, C, S, S) in [0, 1] to q(z_k | x, k) of every cluster.

    Args:
        n_clusters: K; 1 for one z whatever the label.
        n_latent: d.
        channels: C.
        side: S in pixels.
        width: channels of the first convolution.
        seed: seeds the weights.
    """

    def __init__(
        self, n_clusters: int, n_latent: int, channels: int, side: int, *, width: int = 16, seed: int = 0
    ) -> None:
        super().__init__()
        self.n_clusters, self.n_latent = n_clusters, n_latent
        features, size = conv_features(channels, side, width)
        self.body = nn.Sequential(features, nn.Linear(size, 256), nn.ReLU())
        self.head = nn.Linear(256, 2 * n_clusters * n_latent)
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in self.named_parameters():
                if name.endswith("bias"):
                    value.zero_()
                else:
                    value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=random)
            self.head.weight.mul_(0.1)
            self.head.bias.view(2, -1)[1] = -1.0

    def select(self, kept: Tensor) -> Recognition:
        """Return a network of the clusters where kept (K,) bool is True; one shared z stays as it is."""
        smaller = copy.deepcopy(self)
        if self.n_clusters > 1:
            smaller.n_clusters = int(kept.sum())
            outputs = kept[None, :, None].expand(2, -1, self.n_latent).flatten()
            smaller.head.weight = nn.Parameter(self.head.weight.detach()[outputs])
            smaller.head.bias = nn.Parameter(self.head.bias.detach()[outputs])
        return smaller

    def forward(self, images: Tensor) -> Gaussian:
        """Return q(z_k | x, k) of every cluster."""
        output = self.head(self.body(images)).view(len(images), 2, self.n_clusters, self.n_latent)
        return Gaussian(output[:, 0], output[:, 1].clamp(-5.0, 1.0))
