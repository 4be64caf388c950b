"""Variational deep embedding: a variational autoencoder whose prior is a Gaussian mixture.

Source: Jiang, Zheng, Tan, Tang and Zhou, Variational Deep Embedding, IJCAI 2017.
"""

from __future__ import annotations

import math

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.baselines.image_level.learning import descend, in_batches, minibatches, set_rate, share_of
from pixelcluster.baselines.image_level.nets import StackedAutoencoder, pretrain
from pixelcluster.seeding import seeded

_N_CODES = 10
_MAX_MIXTURE = 20_000
"""Codes that start the mixture."""
_RATE = 1e-3
_PRETRAINING_EPOCHS, _EPOCHS = 50, 300
_START_LOG_VARIANCE = -4.0
"""Of q(z|x): the decoder knows codes without noise, the noise of the start must not destroy them."""


class Mixture(nn.Module):
    """The prior p(c) N(z; mean_c, diag exp(log_variance_c)), all learned.

    Args:
        weights: (K,) positive, summing to 1.
        means: (K, d).
        log_variances: (K, d).
    """

    def __init__(self, weights: Tensor, means: Tensor, log_variances: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(weights.log())
        self.means = nn.Parameter(means)
        self.log_variances = nn.Parameter(log_variances)

    def log_joint(self, z: Tensor) -> Tensor:
        """Return log p(c) + log p(z | c), (B, K), of codes (B, d)."""
        square = (z[:, None] - self.means) ** 2 * (-self.log_variances).exp()
        log_normal = -0.5 * (square + self.log_variances + math.log(2 * math.pi)).sum(2)
        return self.logits.log_softmax(0) + log_normal

    def divergence(self, mean: Tensor, log_variance: Tensor, posterior: Tensor) -> Tensor:
        """Return KL(q(z, c | x) || p(z, c)), (B,) nats; q(z | x) is N(mean, diag exp(log_variance)); eq. 12.

        Args:
            mean: (B, d).
            log_variance: (B, d).
            posterior: q(c | x), (B, K).
        """
        gap = (mean[:, None] - self.means) ** 2 + log_variance.exp()[:, None]
        continuous = 0.5 * (
            self.log_variances - log_variance[:, None] + gap * (-self.log_variances).exp() - 1
        ).sum(2)
        discrete = posterior.clamp_min(1e-10).log() - self.logits.log_softmax(0)
        return (posterior * (continuous + discrete)).sum(1)


class Vade(ImageBaseline):
    """Variational deep embedding, see `ImageBaseline`; the objective is -ELBO, nats an image.

    Bernoulli pixels, q(c|x) = p(c|z) of the sampled z and the start (autoencoder, then a mixture fitted to
    its codes) are the paper's. It deviates in a network of a third of the width (D-300-300-600-10; at the
    paper's, minutes are a few epochs and the mixture starts from codes that mean little), in the pretraining
    (all layers at once, at most 50 epochs and half of the time), in the mixture's start on at most 20,000
    codes, in the small variance q(z|x) starts with, and in the rate. Colour images are Bernoulli as well; the
    paper clusters ResNet features of STL-10 instead.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        with seeded(self.seed):
            shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
            self._network = StackedAutoencoder(shape, _N_CODES, 2 * _N_CODES).to(pixels.device)
        pretrain(
            self._network,
            pixels,
            functional.binary_cross_entropy_with_logits,
            epochs=_PRETRAINING_EPOCHS,
            deadline=share_of(deadline, 0.5),
            random=self._random,
        )
        last = self._network.encoder[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight[_N_CODES:] = 0
            last.bias[_N_CODES:] = _START_LOG_VARIANCE
        self._mixture = self._start_mixture(pixels)
        parameters = [*self._network.parameters(), *self._mixture.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=_RATE)
        for batch in minibatches(
            pixels, batch_size=100, epochs=_EPOCHS, deadline=deadline, random=self._random
        ):
            set_rate(optimiser, _RATE, batch.progress)
            loss = self._negative_elbo(batch.images)
            self.history_.append(descend(optimiser, loss))

    def _negative_elbo(self, images: Tensor) -> Tensor:
        """Return the objective of a batch, one sample of z an image."""
        mean, log_variance = self._network.encoder(images).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=self._random, device=mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        reconstruction = functional.binary_cross_entropy_with_logits(
            self._network.decode(z), images, reduction="sum"
        )
        posterior = self._mixture.log_joint(z).softmax(1)
        divergence = self._mixture.divergence(mean, log_variance, posterior)
        return reconstruction / len(images) + divergence.mean()

    @torch.no_grad()
    def _start_mixture(self, pixels: Tensor) -> Mixture:
        """Return the mixture fitted to the autoencoder's codes."""
        rows = torch.randperm(len(pixels), generator=self._random, device=pixels.device)[:_MAX_MIXTURE]
        codes = torch.cat([self._network.encode(part) for part in in_batches(pixels[rows])])
        model = GaussianMixture(
            self.n_clusters, covariance_type="diag", n_init=3, reg_covar=1e-3, random_state=self.seed
        ).fit(codes.double().cpu().numpy())
        values = (model.weights_, model.means_, model.covariances_)
        weights, means, variances = (torch.from_numpy(value).to(codes) for value in values)
        return Mixture(weights, means, variances.log())

    def _assign(self, images: Tensor) -> Tensor:
        return self._mixture.log_joint(self._network.encode(images)).argmax(1)
