"""DeepCluster, per pixel.

Source: Caron, Bojanowski, Joulin and Douze, Deep Clustering for Unsupervised Learning of Visual Features,
ECCV 2018: K-means on the network's features gives pseudo labels, which the network then learns to predict
with a fresh last layer, in turn. Applied to pixels as the row "DeepCluster" of Ji et al., Invariant
information clustering, ICCV 2019, where it stays behind K-means on colours for COCO-Stuff-3 and Potsdam-3.

Deviations beside those of `loop.TrainedBaseline`: pseudo labels come from a frozen copy of the network on the
unchanged crop, the network sees the jittered, flipped view; principal components below 1 % of the largest
variance are dropped before whitening (the paper: 256 of 4096 are kept); a last
K-means at K is on features of length 1, not whitened.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.per_pixel.base import MaskedImages
from pixelcluster.baselines.per_pixel.features import cluster_features, drawn, feature_rows, nearness
from pixelcluster.baselines.per_pixel.loop import Batch, Crops, TrainedBaseline, flip
from pixelcluster.baselines.per_pixel.network import INPUT_CHANNELS, WIDTH, Trunk, network_input
from pixelcluster.baselines.schedule import Schedule
from pixelcluster.targets.linear_maps import Moments

_OVER = 10
"""Pseudo classes for one cluster."""
_ROUND = 50
"""Steps between two assignments."""
_SMALLEST_VARIANCE = 1e-2
"""Of a component, as a share of the largest: smaller ones are noise and left out."""


class DeepCluster(TrainedBaseline[nn.ModuleDict]):
    """DeepCluster; arguments as `TrainedBaseline`. The objective jumps whenever the last layer is renewed."""

    def build(self, n_channels: int) -> nn.ModuleDict:
        """Return the trunk and the last layer."""
        trunk = Trunk(INPUT_CHANNELS[n_channels])
        return nn.ModuleDict({"trunk": trunk, "last": nn.Conv2d(WIDTH, _OVER * self.n_clusters, 1)})

    def train(self, crops: Crops, schedule: Schedule) -> list[float]:
        """Return the losses of rounds of assignment and classification."""
        losses: list[float] = []
        while schedule.share < 1:
            self.teacher_ = Embedding(
                copy.deepcopy(self.network_["trunk"]).eval(),
                drawn(crops.images, self.seed + len(losses)),
                self.device_,
            )
            self.pseudo_ = cluster_features(
                self.teacher_,
                crops.images,
                _OVER * self.n_clusters,
                seed=self.seed + len(losses),
                device=self.device_,
                max_rows=10_000,
                n_starts=1,
            )
            # Pseudo classes have other numbers in every round.
            for parameter in self.network_["last"].parameters():
                nn.init.zeros_(parameter)
            losses += self.descend(crops, _ROUND, schedule)
        return losses

    def loss(self, batch: Batch) -> Tensor:
        """Return the cross-entropy of pseudo labels, every pseudo class weighing alike, nats."""
        with torch.no_grad():
            labels = nearness(self.teacher_(batch.images), self.pseudo_).argmax(1)
        features = self.network_["trunk"](network_input(batch.views))
        logits = self.network_["last"](flip(features, batch.flipped))
        own = functional.cross_entropy(logits, labels, reduction="none")
        counts = torch.bincount(labels[batch.cells > 0], minlength=logits.shape[1])
        weights = batch.cells / counts.clamp_min(1)[labels]
        return (weights * own).sum() / weights.sum().clamp_min(1e-9)

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
        return functional.normalize(self.network_["trunk"](network_input(images)), dim=1)


class Embedding:
    """Features of a trunk in whitened principal components, scaled to length 1, as the paper clusters them.

    Args:
        trunk: in evaluation mode.
        images: on whose unmasked cells the components are learned.
        device: where features are computed.
    """

    def __init__(self, trunk: nn.Module, images: MaskedImages, device: torch.device) -> None:
        self.trunk = trunk
        moments = Moments(WIDTH)
        for rows in feature_rows(self._features, images, device):
            moments.add(torch.from_numpy(rows))
        self._mean = moments.mean().float().to(device)[:, None, None]
        values, vectors = torch.linalg.eigh(moments.covariance())
        kept = values > values[-1] * _SMALLEST_VARIANCE
        self._matrix = (vectors[:, kept] * values[kept].rsqrt()).T.float().to(device)[:, :, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        """Return vectors of length 1, (B, D, h, w), of images (B, C, H, W)."""
        return functional.normalize(self.whitened(images), dim=1)

    def whitened(self, images: Tensor) -> Tensor:
        """Return components of mean 0, variance 1 and no correlation on the training images, (B, D, h, w)."""
        return functional.conv2d(self._features(images) - self._mean, self._matrix)

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.trunk(network_input(images))
        return features
