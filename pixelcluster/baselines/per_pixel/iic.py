"""Invariant information clustering, per pixel.

Source: Ji, Henriques and Vedaldi, Invariant Information Clustering for Unsupervised Image Classification and
Segmentation, ICCV 2019, section 3.3: the mutual information between the cluster of a pixel and of its
neighbours in a jittered, flipped view is maximised, main and overclustering heads in turn. Input: colour and
Sobel, or colour and infrared.

Deviations beside those of `loop.TrainedBaseline`: labels live on cells of 4 px and displacements of up to two
cells (the paper: 10 px); both heads learn in every step, not in alternate passes; of the sub-heads that with
the largest mutual information over the last steps is taken, as in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.per_pixel.loop import Batch, TrainedBaseline, flip
from pixelcluster.baselines.per_pixel.network import INPUT_CHANNELS, WIDTH, Trunk, network_input

_SUB_HEADS = {"main": 3, "over": 1}
_OVER = 3
"""Clusters of the overclustering head for one of the main head (the paper: 3 to 8)."""
_RADIUS = 2
"""Largest displacement, cells an axis."""
_MEMORY = 0.98
"""Of the running mean that chooses the sub-head."""


class Iic(TrainedBaseline[nn.ModuleDict]):
    """IIC; arguments as `TrainedBaseline`."""

    def build(self, n_channels: int) -> nn.ModuleDict:
        """Return trunk, main and overclustering heads; the sub-heads of a kind share one convolution."""
        self.quality_ = torch.zeros(_SUB_HEADS["main"])
        main = nn.Conv2d(WIDTH, _SUB_HEADS["main"] * self.n_clusters, 1)
        over = nn.Conv2d(WIDTH, _SUB_HEADS["over"] * self.n_clusters * _OVER, 1)
        return nn.ModuleDict({"trunk": Trunk(INPUT_CHANNELS[n_channels]), "main": main, "over": over})

    def loss(self, batch: Batch) -> Tensor:
        """Return minus the mutual information, mean over sub-heads, sum of both heads, nats."""
        first = self._features(batch.images)
        second = flip(self._features(batch.views), batch.flipped)
        total = first.new_zeros(())
        for name, n_heads in _SUB_HEADS.items():
            one, two = (self._probabilities(features, name) for features in (first, second))
            information = torch.stack(
                [mutual_information(one[:, i], two[:, i], batch.cells, _RADIUS) for i in range(n_heads)]
            )
            if name == "main":
                self.quality_ = _MEMORY * self.quality_ + (1 - _MEMORY) * information.detach().cpu()
            total = total - information.mean()
        return total

    def scores(self, images: Tensor, cells: Tensor) -> Tensor:
        """Return the probabilities of the best sub-head."""
        return self._probabilities(self._features(images), "main")[:, int(self.quality_.argmax())]

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network_["trunk"](network_input(images))
        return features

    def _probabilities(self, features: Tensor, name: str) -> Tensor:
        """Return (B, sub-heads, K, h, w)."""
        logits: Tensor = self.network_[name](features)
        batch, _, height, width = logits.shape
        return logits.view(batch, _SUB_HEADS[name], -1, height, width).softmax(2)


def mutual_information(first: Tensor, second: Tensor, cells: Tensor, radius: int) -> Tensor:
    """Return I(y; y') of cells and their displaced partners, mean over displacements, nats.

    The joint of a displacement t is P_t = sum over cells u of first(u) second(u + t)^T, normalised and made
    symmetric (equations 3 and 4 of the paper); all of them are one convolution of the maps with each other.

    Args:
        first: (B, K, h, w) probabilities in one view.
        second: the same cells in the other view.
        cells: (B, h, w), 0 where a cell is left out in either place.
        radius: displacements are -radius..radius cells an axis.
    """
    one, two = ((values * cells[:, None]).transpose(0, 1) for values in (first, second))
    joint = functional.conv2d(two, one, padding=radius).flatten(2).permute(2, 1, 0)
    joint = joint + joint.transpose(1, 2)
    # No cell may be left, and a probability may round to 0.
    joint = (joint / joint.sum((1, 2), keepdim=True).clamp_min(1e-9)).clamp_min(1e-9)
    row, column = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True)
    return (joint * (joint.log() - row.log() - column.log())).sum((1, 2)).mean()
