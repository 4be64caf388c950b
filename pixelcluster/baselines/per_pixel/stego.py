"""STEGO: a small head on frozen features whose correspondences it makes sharper, then K-means.

Source: Hamilton, Zhang, Hariharan, Snavely and Freeman, Unsupervised semantic segmentation by distilling
feature correspondences, ICLR 2022; the head is that of `targets.correspondence`.

Deviations: features of `targets.encoder` instead of a ViT's; K-means on codes of length 1 instead of the
cosine cluster layer trained beside the head; no CRF.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from pixelcluster.baselines.per_pixel.base import MaskedImages
from pixelcluster.baselines.per_pixel.encoder_kmeans import EncoderKMeans
from pixelcluster.baselines.per_pixel.features import drawn, feature_rows
from pixelcluster.targets.correspondence import train_head, unit_codes


@dataclass(eq=False)
class Stego(EncoderKMeans):
    """STEGO on all images together.

    Args:
        n_clusters: K.
        seed: of weights, pairs and cells.
        device: "auto", "cpu" or "cuda".
        minutes: time budget of the training; at least one step is taken.
        steps: at most.

    Attributes:
        losses_: the objective of every step, to be minimised.
    """

    _: KW_ONLY
    steps: int = 5000

    def learn_codes(self, images: MaskedImages, deadline: float) -> None:
        """Train the head on the features of unmasked cells, see `drawn`.

        Raises:
            PixelClusterError: a loss that is not finite.
        """
        rows = [
            torch.from_numpy(own).half()
            for own in feature_rows(super().codes, drawn(images, self.seed), self.device_)
            if len(own)
        ]
        self.head_, self.losses_ = train_head(
            rows, self.steps, seed=self.seed, device=self.device_, deadline=deadline
        )

    def codes(self, images: Tensor) -> Tensor:
        """Return s of length 1, (B, 70, h, w) at stride 4."""
        return unit_codes(self.head_, super().codes(images).movedim(1, -1)).movedim(-1, 1)
