"""K-means on raw pixels, the first row of the papers' tables. Source: Lloyd, 1982; scikit-learn's form."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from pixelcluster import clock
from pixelcluster.arguments import LARGEST_SEED
from pixelcluster.baselines.image_level.base import ImageBaseline

_MAX_IMAGES = 100_000
_N_STARTS = 3


class ImageKMeans(ImageBaseline):
    """K-means on the pixels of whole images, see `ImageBaseline`.

    Of three K-means++ starts the one with the smallest inertia is kept; no further start begins after the
    time limit. At most 100,000 images, drawn at random, are fitted on. `history_` holds the inertia of each
    start.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        rows = torch.randperm(len(pixels), generator=self._random, device=pixels.device)[:_MAX_IMAGES]
        points = (pixels[rows].flatten(1).float() / 255).cpu().numpy()
        models: list[KMeans] = []
        for start in range(_N_STARTS):
            if models and clock.now() >= deadline:
                break
            own_seed = (self.seed * _N_STARTS + start) % (LARGEST_SEED + 1)
            models.append(KMeans(self.n_clusters, n_init=1, random_state=own_seed).fit(points))
        self.history_ += [float(model.inertia_) for model in models]
        self._model = models[int(np.argmin(self.history_))]

    def _assign(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self._model.predict(images.flatten(1).cpu().numpy()))
