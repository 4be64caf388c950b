"""A conditional variational autoencoder with unsupervised y: the M2 model without any labelled image.

Source: Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative Models, NIPS 2014,
eq. 7.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.baselines.image_level.learning import descend, minibatches, set_rate
from pixelcluster.baselines.image_level.nets import conv_encoder, perceptron
from pixelcluster.seeding import seeded

_N_FEATURES = 256
_N_LATENT = 3
"""Few, so that y has something left to explain: with 8, y is close to chance on digits."""
_SIGMA = 0.3
_RATE = 1e-3
_EPOCHS = 200


class _Networks(nn.Module):
    """q(y | x), q(z | x, y) over shared features, and p(x | y, z)."""

    def __init__(self, shape: tuple[int, int, int], n_clusters: int) -> None:
        super().__init__()
        n_pixels = shape[0] * shape[1] * shape[2]
        self.shape, self.n_clusters = shape, n_clusters
        self.features = conv_encoder(shape, _N_FEATURES)
        self.y_logits = nn.Linear(_N_FEATURES, n_clusters)
        # A linear map of (features, one-hot y), as an output for each y: all K at once.
        self.latent = nn.Linear(_N_FEATURES, n_clusters * 2 * _N_LATENT)
        self.decoder = perceptron((_N_LATENT + n_clusters, 256, 256, n_pixels))

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log q(y | x) (B, K), and the means and log variances of z given every y, (B, K, d)."""
        features = self.features(images)
        latent = self.latent(features).unflatten(1, (self.n_clusters, 2 * _N_LATENT))
        mean, log_variance = latent.chunk(2, dim=2)
        return self.y_logits(features).log_softmax(1), mean, log_variance


def m2_bound(log_y: Tensor, reconstruction: Tensor, divergence: Tensor) -> Tensor:
    """Return the negative bound (B,) of images without label, by exact summation over y.

    Args:
        log_y: log q(y | x), (B, K); the prior on y is uniform.
        reconstruction: -log p(x | y, z) for every y, (B, K) nats.
        divergence: KL(q(z | x, y) || p(z)), (B, K) nats.

    Returns:
        sum over y of q(y | x) (reconstruction + divergence + log q(y | x) + log K).
    """
    n_clusters = log_y.shape[1]
    return (log_y.exp() * (reconstruction + divergence + log_y + math.log(n_clusters))).sum(1)


class Cvae(ImageBaseline):
    """M2 with y summed out, see `ImageBaseline`; the objective is the negative bound, nats an image.

    Everything is the paper's bound of unlabelled images with a uniform prior on y. It deviates in pixels that
    are normal with standard deviation 0.3 (the paper's digits are Bernoulli), in a convolutional encoder, in
    z given y by a linear map of shared features, and in a z of 3 dimensions instead of 50: without labels
    nothing but the size of z makes the model use y, and what y means is left to chance.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        with seeded(self.seed):
            shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
            self._networks = nets = _Networks(shape, self.n_clusters).to(pixels.device)
        optimiser = torch.optim.Adam(nets.parameters(), lr=_RATE)
        for batch in minibatches(
            pixels, batch_size=128, epochs=_EPOCHS, deadline=deadline, random=self._random
        ):
            set_rate(optimiser, _RATE, batch.progress)
            log_y, mean, log_variance = nets.posterior(batch.images)
            noise = torch.randn(mean.shape, generator=self._random, device=mean.device)
            z = mean + noise * (0.5 * log_variance).exp()
            reconstruction = self._reconstruction(z, batch.images)
            divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(2)
            loss = m2_bound(log_y, reconstruction, divergence).mean()
            self.history_.append(descend(optimiser, loss))
        nets.eval()

    def _reconstruction(self, z: Tensor, images: Tensor) -> Tensor:
        """Return -log p(x | y, z), (B, K) nats, of z (B, K, d) drawn for every y."""
        y = torch.eye(self.n_clusters, device=z.device).expand(len(z), -1, -1)
        made = self._networks.decoder(torch.cat([z, y], 2).flatten(0, 1)).unflatten(0, z.shape[:2])
        error: Tensor = (made - images.flatten(1)[:, None]).square().sum(2)
        return error / (2 * _SIGMA**2)

    def _assign(self, images: Tensor) -> Tensor:
        return self._networks.posterior(images)[0].argmax(1)
