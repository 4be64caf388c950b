"""InfoSeg: mutual information between local features and the global features of their class.

Source: Harb and Knoebelreiter, InfoSeg: Unsupervised Semantic Image Segmentation with Mutual Information
Maximization, GCPR 2021. An image has local features L_p and one global feature H_k a class. Segmentation
step: V_pk = softmax_k(tau <L_p, H_k>). Maximisation step: the Jensen-Shannon estimate of the mutual
information between L_p and S_p = sum_k V_pk H_k, the feature of its class, with the local features of other
images as negatives.

Deviations beside those of `loop.TrainedBaseline`: both features have length 1, so that tau is the only scale;
tau, the widths and the depth of the global part are ours; local features are of the jittered, flipped view,
global ones of the plain image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.per_pixel.loop import Batch, TrainedBaseline, flip
from pixelcluster.baselines.per_pixel.network import INPUT_CHANNELS, WIDTH, Trunk, network_input

_SHARPNESS = 3.0
"""tau: of the softmax over classes and of the critic."""


class InfoSeg(TrainedBaseline[nn.ModuleDict]):
    """InfoSeg; arguments as `TrainedBaseline`."""

    def build(self, n_channels: int) -> nn.ModuleDict:
        """Return the trunk, the projection of local features, and the deeper part with a head a class."""
        down = nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, padding=1, bias=False)
        return nn.ModuleDict(
            {
                "trunk": Trunk(INPUT_CHANNELS[n_channels]),
                "local": nn.Conv2d(WIDTH, WIDTH, 1),
                "deep": nn.Sequential(down, nn.BatchNorm2d(2 * WIDTH), nn.ReLU(inplace=True)),
                "classes": nn.Linear(2 * WIDTH, self.n_clusters * WIDTH),
            }
        )

    def loss(self, batch: Batch) -> Tensor:
        """Return minus the Jensen-Shannon estimate, nats."""
        features = self._features(batch.images)
        views = flip(self._features(batch.views), batch.flipped)
        local, glob = self._local(views), self._global(features, batch.cells)
        own = assigned(local, glob)
        return jensen_shannon(local, own, batch.cells)

    def scores(self, images: Tensor, cells: Tensor) -> Tensor:
        """Return <L_p, H_k>; the used cells of the whole image give H, as those of a crop do in training."""
        features = self._features(images)
        return torch.einsum("bdhw,bkd->bkhw", self._local(features), self._global(features, cells))

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network_["trunk"](network_input(images))
        return features

    def _local(self, features: Tensor) -> Tensor:
        """Return L of length 1, (B, D, h, w)."""
        return functional.normalize(self.network_["local"](features), dim=1)

    def _global(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return H of length 1, (B, K, D), from the mean of deep features over used cells (B, h, w)."""
        deep = self.network_["deep"](features)
        used = functional.adaptive_avg_pool2d(cells[:, None], deep.shape[2:])
        mean = (deep * used).sum((2, 3)) / used.sum((2, 3)).clamp_min(1e-6)
        return functional.normalize(self.network_["classes"](mean).view(-1, self.n_clusters, WIDTH), dim=2)


def assigned(local: Tensor, glob: Tensor) -> Tensor:
    """Return S (B, D, h, w): global features (B, K, D) weighed by class probabilities of L (B, D, h, w)."""
    classes = (_SHARPNESS * torch.einsum("bdhw,bkd->bkhw", local, glob)).softmax(1)
    return torch.einsum("bkhw,bkd->bdhw", classes, glob)


def jensen_shannon(local: Tensor, own: Tensor, cells: Tensor) -> Tensor:
    """Return E[softplus(-T)] over pairs of one image plus E[softplus(T)] over pairs of two, T = tau <L, S>.

    Args:
        local: L, (B, D, h, w).
        own: S at the same places; a place's negatives are the L of the same place in other images.
        cells: (B, h, w), 0 where left out.
    """
    critic = _SHARPNESS * torch.einsum("bdhw,cdhw->bchw", local, own)
    pairs = cells[:, None] * cells[None]
    same = torch.eye(len(local), device=local.device)[:, :, None, None] * pairs
    other = pairs - same
    positive = (functional.softplus(-critic) * same).sum() / same.sum().clamp_min(1.0)
    negative = (functional.softplus(critic) * other).sum() / other.sum().clamp_min(1.0)
    return positive + negative
