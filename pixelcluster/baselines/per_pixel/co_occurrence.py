"""Features that tell whether two patches occur together, and K-means on them.

Source: Isola, Zoran, Krishnan and Adelson, Learning visual groups from co-occurrences in space and time, ICLR
2016 workshop: a siamese network predicts whether two patches are neighbours in one image or drawn at random.
The row "Isola" of Ji et al., Invariant information clustering, ICCV 2019, clusters its features by K-means.

Deviations beside those of `loop.TrainedBaseline`: all patches of a crop are embedded at once by a
convolutional trunk of 23 px receptive field, and neighbours lie 24 px apart, so that they share no pixel; the
pair's classifier sees |a - b| and a * b, which do not depend on the order. Input: the image's own channels,
no Sobel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.per_pixel.base import MaskedImages
from pixelcluster.baselines.per_pixel.features import cluster_features, nearness
from pixelcluster.baselines.per_pixel.loop import Batch, TrainedBaseline
from pixelcluster.baselines.per_pixel.network import WIDTH, Trunk

_APART = 6
"""Cells between the centres of neighbours."""


class CoOccurrence(TrainedBaseline[nn.ModuleDict]):
    """Co-occurrence features and K-means; arguments as `TrainedBaseline`, but two crops a step at least."""

    def build(self, n_channels: int) -> nn.ModuleDict:
        """Return the trunk and the pair's classifier."""
        hidden = nn.Sequential(nn.Conv2d(2 * WIDTH, WIDTH, 1), nn.ReLU(inplace=True), nn.Conv2d(WIDTH, 1, 1))
        return nn.ModuleDict({"trunk": Trunk(n_channels, dilations=(1, 1)), "pair": hidden})

    def loss(self, batch: Batch) -> Tensor:
        """Return the cross-entropy of "neighbours?" over as many neighbours as random pairs, nats."""
        features, total = self._features(batch.images), batch.images.new_zeros(())
        for axis in (2, 3):
            length = features.shape[axis] - _APART
            here, there = (
                (features.narrow(axis, start, length), batch.cells.narrow(axis - 1, start, length))
                for start in (0, _APART)
            )
            # The same place in another image: positions in the crop tell nothing.
            for other, answer in ((there, 1.0), ((there[0].roll(1, 0), there[1].roll(1, 0)), 0.0)):
                a, b, used = here[0], other[0], here[1] * other[1]
                logits = self.network_["pair"](torch.cat([(a - b).abs(), a * b], 1))[:, 0]
                own = functional.binary_cross_entropy_with_logits(
                    logits, torch.full_like(logits, answer), reduction="none"
                )
                total = total + 0.25 * (own * used).sum() / used.sum().clamp_min(1.0)
        return total

    def finish(self, images: MaskedImages) -> None:
        """Cluster the features at K."""
        self.centres_ = cluster_features(
            self._features, images, self.n_clusters, seed=self.seed, device=self.device_
        )

    def scores(self, images: Tensor, cells: Tensor) -> Tensor:
        """Return the nearness to the centres."""
        return nearness(self._features(images), self.centres_)

    def _features(self, images: Tensor) -> Tensor:
        """Return features of length 1, (B, D, h, w)."""
        return functional.normalize(self.network_["trunk"](images), dim=1)
