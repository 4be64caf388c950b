"""Deep embedded clustering: an autoencoder's codes, sharpened towards cluster centres.

Source: Xie, Girshick and Farhadi, Unsupervised Deep Embedding for Clustering Analysis, ICML 2016.
"""

from __future__ import annotations

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.baselines.image_level.learning import descend, in_batches, minibatches, share_of
from pixelcluster.baselines.image_level.nets import StackedAutoencoder, pretrain
from pixelcluster.seeding import seeded

_N_CODES = 10
_PRETRAINING_EPOCHS, _EPOCHS = 60, 60
_RATE = 1e-3
_REFRESH = 140
"""Steps between updates of the target distribution, as on MNIST there; half an epoch where that is more."""
_BATCH = 256
_MAX_CODES = 20_000
"""Codes that start the centres."""
_TOLERANCE = 1e-3
"""Share of images that change cluster between refreshes, below which the fit has converged (section 4.3)."""


def soft_assignment(codes: Tensor, centres: Tensor) -> Tensor:
    """Return q (B, K), Student's t kernel between codes (B, d) and centres (K, d), normalised; eq. 1."""
    kernel = 1 / (1 + torch.cdist(codes, centres, compute_mode="donot_use_mm_for_euclid_dist") ** 2)
    return kernel / kernel.sum(1, keepdim=True)


def target_distribution(q: Tensor) -> Tensor:
    """Return p (B, K), q squared over the cluster sizes and normalised; eq. 3."""
    weight = q**2 / q.sum(0)
    return weight / weight.sum(1, keepdim=True)


class Dec(ImageBaseline):
    """Deep embedded clustering, see `ImageBaseline`; the objective is KL(p || q), nats an image.

    The target p follows q at every refresh, so the objective falls between refreshes only.
    It deviates in a network of a third of the width (D-300-300-600-10; at the paper's, minutes are a few
    epochs), in the pretraining (all layers at once with a fifth of the pixels dropped, Adam, at most 60
    epochs and 70 % of the time, instead of layer by layer for 150,000 steps) and in Adam instead of SGD for
    the self-training. K-means has 20 starts, as there, on at most 20,000 codes.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        with seeded(self.seed):
            shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
            self._network = StackedAutoencoder(shape, _N_CODES).to(pixels.device)
        pretrain(
            self._network,
            pixels,
            functional.mse_loss,
            epochs=_PRETRAINING_EPOCHS,
            deadline=share_of(deadline, 0.7),
            random=self._random,
            dropped=0.2,
        )
        codes = self._codes(pixels)
        rows = torch.randperm(len(codes), generator=self._random, device=codes.device)[:_MAX_CODES]
        kmeans = KMeans(self.n_clusters, n_init=20, random_state=self.seed).fit(codes[rows].cpu().numpy())
        self._centres = nn.Parameter(torch.from_numpy(kmeans.cluster_centers_).to(codes))
        optimiser = torch.optim.Adam([*self._network.encoder.parameters(), self._centres], lr=_RATE)
        labels = torch.full((len(pixels),), -1, device=pixels.device)
        batches = minibatches(
            pixels, batch_size=_BATCH, epochs=_EPOCHS, deadline=deadline, random=self._random
        )
        refresh = max(_REFRESH, len(pixels) // (2 * _BATCH))
        for step, batch in enumerate(batches):
            if step % refresh == 0:
                q = soft_assignment(self._codes(pixels), self._centres.detach())
                moved = (q.argmax(1) != labels).float().mean().item()
                labels, target = q.argmax(1), target_distribution(q)
                if moved < _TOLERANCE:
                    break
            own = soft_assignment(self._network.encode(batch.images), self._centres)
            loss = functional.kl_div(own.log(), target[batch.rows], reduction="batchmean")
            self.history_.append(descend(optimiser, loss))

    def _assign(self, images: Tensor) -> Tensor:
        return soft_assignment(self._network.encode(images), self._centres).argmax(1)

    @torch.no_grad()
    def _codes(self, pixels: Tensor) -> Tensor:
        """Return the codes (N, d) of all images."""
        return torch.cat([self._network.encode(part) for part in in_batches(pixels)])
