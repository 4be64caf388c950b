"""A variational autoencoder with a discrete label a pixel and a continuous field: Kingma's M2 without labels.

Source: Kingma, Rezende, Mohamed and Welling, Semi-supervised learning with deep generative models, NeurIPS
2014, model M2, the row "CVAE" of the clustered generator paper (Zhu et al.). x ~ N(G(z, y), sigma^2), y
uniform, z ~ N(0, I); q(y, z | x) = q(y | x) q(z | x, y); the bound sums over y exactly.

Deviations beside those of `loop.TrainedBaseline`: a label a cell of 4 px, of which x holds colour and Sobel,
or colour and infrared, of all 16 pixels; y enters G a cell at a time, so that the sum over y is exact;
q(z | x, y) sees the probabilities q(y | x) instead of each label map; sigma is learned, one a channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.per_pixel.loop import Batch, TrainedBaseline
from pixelcluster.baselines.per_pixel.network import INPUT_CHANNELS, STRIDE, WIDTH, Trunk, network_input
from pixelcluster.targets.grid import to_grid

_LATENT = 8
"""Channels of z."""
_COARSE = 16
"""Cells a cell of z and axis: z is at stride 64, so that what changes faster is left to y."""
_HIDDEN = 32
"""Channels between z and x."""
_SMALLEST_LOG_SIGMA = math.log(0.02)


class Cvae(TrainedBaseline["Network"]):
    """M2 with a label a pixel; arguments as `TrainedBaseline`."""

    def build(self, n_channels: int) -> Network:
        """Return inference network and decoder; the noise of z comes from a stream of its own."""
        self.noise_ = torch.Generator().manual_seed(self.seed)
        return Network(self.n_clusters, INPUT_CHANNELS[n_channels])

    def loss(self, batch: Batch) -> Tensor:
        """Return minus the evidence bound, nats a cell."""
        network = self.network_
        observed = network_input(batch.images)
        logits, mean, log_variance = network.infer(observed)
        noise = torch.randn(mean.shape, generator=self.noise_).to(mean.device)
        drawn = network.decode(mean + (0.5 * log_variance).exp() * noise, logits.shape[2:])
        log_likelihood = network.log_likelihood(functional.pixel_unshuffle(observed, STRIDE), drawn)
        used = batch.cells / batch.cells.sum().clamp_min(1.0)
        log_q = logits.log_softmax(1)
        label_terms = (log_q.exp() * (log_likelihood - log_q - math.log(self.n_clusters))).sum(1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1, keepdim=True)
        field = grow_cells(divergence, logits.shape[2:])[:, 0] / _COARSE**2
        return -((label_terms - field) * used).sum()

    def scores(self, images: Tensor, cells: Tensor) -> Tensor:
        """Return the logits of q(y | x)."""
        logits: Tensor = self.network_.infer(network_input(images))[0]
        return logits


class Network(nn.Module):
    """q(y | x), q(z | x, y) and G(z, y) of a label map with K clusters.

    Args:
        n_clusters: K.
        n_observed: D, channels of x.
    """

    def __init__(self, n_clusters: int, n_observed: int) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.full((n_observed,), -1.0))
        self.trunk = Trunk(n_observed)
        self.label = nn.Conv2d(WIDTH, n_clusters, 1)
        self.latent = nn.Conv2d(WIDTH + n_clusters, 2 * _LATENT, 1)
        self.field = nn.Sequential(
            nn.Conv2d(_LATENT, WIDTH, 1), nn.ReLU(inplace=True), nn.Conv2d(WIDTH, _HIDDEN, 3, padding=1)
        )
        self.embedding = nn.Parameter(torch.randn(n_clusters, _HIDDEN))
        self.head = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(_HIDDEN, _HIDDEN, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(_HIDDEN, n_observed * STRIDE**2, 1),
        )

    def infer(self, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of y (B, K, h, w), mean and log variance of z, of x (B, D, H, W)."""
        features = self.trunk(observed)
        logits = self.label(features)
        seen = to_grid(torch.cat([features, logits.softmax(1)], 1), _COARSE)
        mean, log_variance = self.latent(seen).chunk(2, 1)
        return logits, mean, log_variance.clamp(-8, 8)

    def decode(self, z: Tensor, size: Sequence[int]) -> Tensor:
        """Return G(z, y) for every y: (B, K, 16 D, h, w)."""
        field = grow_cells(self.field(z), size)
        every = field[:, None] + self.embedding[None, :, :, None, None]
        drawn: Tensor = self.head(every.flatten(0, 1)).view(*every.shape[:2], -1, *size)
        return drawn

    def log_likelihood(self, observed: Tensor, drawn: Tensor) -> Tensor:
        """Return log p(x | y, z) of each cell and y, (B, K, h, w), of observed (B, 16 D, h, w)."""
        # Pixel unshuffling puts the 16 pixels of a channel next to each other.
        log_sigma = self.log_sigma.clamp_min(_SMALLEST_LOG_SIGMA).repeat_interleave(STRIDE**2)
        scaled = (observed[:, None] - drawn) * (-log_sigma).exp()[:, None, None]
        return -0.5 * scaled.square().sum(2) - (log_sigma + 0.5 * math.log(2 * math.pi)).sum()


def grow_cells(values: Tensor, size: Sequence[int]) -> Tensor:
    """Return values (B, C, h / 16, w / 16) of z's grid on the label grid (h, w), bilinear."""
    return functional.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)
