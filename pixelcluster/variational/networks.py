"""Encoder, mixture head and decoder of the mixture VAE."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pixelcluster.variational.mixture import Posterior, Prior, log_normal

_LOG_STD = (-4.0, 2.0)
"""Range of learned log standard deviations: no cluster shrinks to a point."""


def image_trunk(shape: tuple[int, int, int], n_features: int) -> nn.Sequential:
    """Return a strided network from images (B, C, H, W) to features (B, n_features).

    Sides are halved until at most 4 is left: three stages for 28 and 32 pixels, of 16, 32 and 64 channels.

    Args:
        shape: (C, H, W) of the images.
        n_features: F.
    """
    channels, height, width = shape
    n_stages = max(1, math.ceil(math.log2(max(height, width) / 4)))
    layers: list[nn.Module] = []
    for stage in range(n_stages):
        out = 16 * 2 ** min(stage, 3)
        layers += _stage(channels, out, kernel=3 if stage else 5, stride=2)
        channels, height, width = out, -(-height // 2), -(-width // 2)
    linear = nn.Linear(channels * height * width, n_features, bias=False)
    return nn.Sequential(*layers, nn.Flatten(), linear, nn.BatchNorm1d(n_features), nn.ReLU())


def _stage(channels: int, out: int, *, kernel: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU()]


class MixtureHead(nn.Module):
    """q(c | x), q(z | x, c) from features, and the prior's mixture.

    Args:
        n_features: F.
        n_clusters: K.
        n_latents: d.
    """

    log_p: Tensor

    def __init__(self, n_features: int, n_clusters: int, n_latents: int) -> None:
        super().__init__()
        self.n_clusters, self.n_latents = n_clusters, n_latents
        self.classifier = nn.Linear(n_features, n_clusters)
        self.latent = nn.Linear(n_features, n_clusters * 2 * n_latents)
        self.prior_mean = nn.Parameter(torch.randn(n_clusters, n_latents))
        self.prior_log_std = nn.Parameter(torch.zeros(n_clusters, n_latents))
        self.register_buffer("log_p", torch.full((n_clusters,), -math.log(n_clusters)))

    def log_q(self, features: Tensor) -> Tensor:
        """Return log q(c | x), (..., K), of features (..., F)."""
        log_q: Tensor = self.classifier(features).log_softmax(-1)
        return log_q

    def posterior(self, features: Tensor) -> Posterior:
        """Return q(z, c | x) of features (B, F)."""
        latent = self.latent(features).view(-1, self.n_clusters, 2, self.n_latents)
        mean, log_std = latent.unbind(2)
        return Posterior(self.log_q(features), mean, log_std.clamp(*_LOG_STD))

    def prior(self) -> Prior:
        """Return p(z, c); p(c) is uniform and stays so, means and deviations are learned."""
        return Prior(self.log_p, self.prior_mean, self.prior_log_std.clamp(*_LOG_STD))


class Decoder(nn.Module):
    """p(x | z) = N(x; G(z), s^2 I) with G a perceptron and s one learned number.

    Args:
        n_latents: d.
        size: observed values an item, D.
        hidden: units of the hidden layer.
    """

    def __init__(self, n_latents: int, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(n_latents, hidden), nn.ReLU(), nn.Linear(hidden, size))
        self.log_std = nn.Parameter(torch.tensor(0.0))

    def forward(self, z: Tensor) -> Tensor:
        """Return the mean G(z), (..., D), of z (..., d)."""
        mean: Tensor = self.network(z)
        return mean

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x | z), (...), of x (..., D) and z (..., d), whose leading dimensions broadcast."""
        return log_normal(x, self(z), self.log_std.clamp(*_LOG_STD))
