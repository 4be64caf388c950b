"""Invariant information clustering of images: mutual information between two views' cluster probabilities.

Source: Ji, Henriques and Vedaldi, Invariant Information Clustering, ICCV 2019, sections 3.1-3.2 and 4.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.baselines.image_level.learning import descend, minibatches, set_rate
from pixelcluster.baselines.image_level.nets import conv_encoder
from pixelcluster.data.views import ViewSettings, random_view
from pixelcluster.seeding import seeded

_N_FEATURES = 256
_N_HEADS = 5
_OVERCLUSTERING = 5
"""Clusters of an auxiliary head for each cluster of a main one (50 for 10, as on MNIST)."""
_RATE = 2e-3
_BATCH = 200
_EPOCHS = 200


def mutual_information(first: Tensor, second: Tensor) -> Tensor:
    """Return the mutual information of two cluster assignments under their mean joint distribution; eq. 3.

    Args:
        first: probabilities (B, K) of one view, rows sum to 1.
        second: of the other view of the same images.

    Returns:
        Scalar, nats, at most log K.
    """
    joint = first.T @ second / len(first)
    joint = ((joint + joint.T) / 2).clamp_min(1e-12)
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return (joint * (joint.log() - independent.log())).sum()


class Iic(ImageBaseline):
    """Invariant information clustering, see `ImageBaseline`; the objective is -I, nats, mean of all heads.

    Five main and five overclustering heads on one network, the image against a random view of it (warped;
    colour images jittered too); the main head with the largest information over the last tenth of the steps
    answers, as the paper chooses it, without labels. It deviates in a smaller network (three convolutions of
    stride 2 instead of a VGG or a ResNet), in training main and overclustering heads in every step instead of
    every other epoch, in one pair of views an image and step instead of up to five, in rate and batch size,
    and in colour instead of Sobel input for photographs.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        widths = (self.n_clusters, _OVERCLUSTERING * self.n_clusters)
        with seeded(self.seed):
            shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
            self._features = conv_encoder(shape, _N_FEATURES).to(pixels.device)
            self._heads = nn.ModuleList(
                nn.Linear(_N_FEATURES, w) for w in widths for _ in range(_N_HEADS)
            ).to(pixels.device)
        optimiser = torch.optim.Adam([*self._features.parameters(), *self._heads.parameters()], lr=_RATE)
        per_head: list[Tensor] = []
        for batch in minibatches(
            pixels, batch_size=_BATCH, epochs=_EPOCHS, deadline=deadline, random=self._random
        ):
            set_rate(optimiser, _RATE, batch.progress)
            view = random_view(batch.images, ViewSettings(), self._random)
            first, second = self._features(torch.cat([batch.images, view])).chunk(2)
            information = torch.stack(
                [mutual_information(head(first).softmax(1), head(second).softmax(1)) for head in self._heads]
            )
            loss = -information.mean()
            self.history_.append(descend(optimiser, loss))
            per_head.append(information.detach()[:_N_HEADS])
        last = torch.stack(per_head[-max(1, len(per_head) // 10) :]).mean(0)
        self._best = int(last.argmax())
        self._features.eval()

    def _assign(self, images: Tensor) -> Tensor:
        logits: Tensor = self._heads[self._best](self._features(images))
        return logits.argmax(1)
