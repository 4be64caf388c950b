"""Variational Clustering of whole images, end to end from random weights.

Source: Prasad, Das, Bhowmick, Variational Clustering, 2020 (arXiv 2005.04613). Ours are the race of several
mixture heads (`train`), the information terms (`information`), the affine and elastic views of the agreement,
and the sizes of the networks; the likelihood is Gaussian with one learned variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.data.views import ViewSettings, random_view
from pixelcluster.errors import PixelClusterError
from pixelcluster.seeding import seeded
from pixelcluster.variational.information import Weights
from pixelcluster.variational.networks import image_trunk
from pixelcluster.variational.train import Encoded, MixtureVae, TrainSettings, train

_N_FEATURES = 256


@dataclass(frozen=True)
class ImageSettings:
    """Settings of a fit: of the loop, images a step, and the changes that must not change the cluster."""

    train: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            steps=500,
            learning_rate=2e-3,
            n_latents=10,
            heads=5,
            race=0.5,
            weights=Weights(evidence=10.0, information=0.3, balance=4.0, agreement=1.0),
        )
    )
    batch_size: int = 256
    views: ViewSettings = field(default_factory=ViewSettings)


@dataclass(eq=False)
class VariationalClustering(ImageBaseline):
    """A mixture VAE over images: one cluster an image.

    Args:
        n_clusters: K.
        seed: of weights, batches, views and noise; see `ImageBaseline` for what it fixes.
        device: "auto", "cpu" or "cuda".
        minutes: time limit of `fit`.
        settings: of the fit.

    Attributes:
        model_: the fitted model.
        curve_: the objective and its terms, see `train`.
    """

    _: KW_ONLY
    settings: ImageSettings = field(default_factory=ImageSettings)

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        self._decoded = pixels.shape[1:]
        channels, height, width = pixels.shape[1:]
        settings = self.settings.train
        with seeded(self.seed):  # torch draws initial weights from the global stream
            trunk = image_trunk((channels, height, width), _N_FEATURES)
            n_observed = channels * height * width
            self.model_ = MixtureVae(trunk, _N_FEATURES, n_observed, self.n_clusters, settings)
        self.model_.to(pixels.device)
        batches = _batches(len(pixels), self.settings.batch_size, self._random)

        def encode() -> Encoded:
            plain = pixels[next(batches)].float() / 255
            view = random_view(plain, self.settings.views, self._random)
            pair = self.model_.trunk(torch.cat([plain, view])).chunk(2)
            return Encoded(pair[0], plain.flatten(1), pair)

        self.curve_ = train(self.model_, encode, settings, self._random, deadline=deadline)
        self.history_ = [entry["total"] for entry in self.curve_]

    def _assign(self, images: Tensor) -> Tensor:
        return self.model_.head.log_q(self.model_.trunk(images)).argmax(1)

    @torch.no_grad()
    def samples(self, n: int) -> NDArray[np.uint8]:
        """Return n decoded draws of each cluster's prior, (K, n, h, w, C) uint8, sides at most 32.

        Raises:
            PixelClusterError: not fitted.
        """
        if not hasattr(self, "model_"):
            raise PixelClusterError("the method is not fitted; call fit(images) first")
        prior = self.model_.head.prior()
        random = torch.Generator(prior.mean.device).manual_seed(self.seed)
        shape = (self.n_clusters, n, prior.mean.shape[1])
        noise = torch.randn(shape, generator=random, device=prior.mean.device)
        z = prior.mean[:, None] + prior.log_std[:, None].exp() * noise
        pixels = self.model_.decoder(z).unflatten(2, self._decoded)
        drawn: NDArray[np.uint8] = (255 * pixels.clamp(0, 1)).round().byte().movedim(2, -1).cpu().numpy()
        return drawn


def _batches(n: int, batch_size: int, random: torch.Generator) -> Iterator[Tensor]:
    """Yield indices of batches for ever, in a new order each pass; a last, smaller batch is left out."""
    size = min(n, batch_size)
    while True:
        order = torch.randperm(n, generator=random, device=random.device)
        yield from torch.split(order[: n // size * size], size)
