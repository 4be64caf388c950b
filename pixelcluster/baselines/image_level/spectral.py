"""Spectral clustering of the nearest-neighbour graph of images.

Source: Ng, Jordan and Weiss, On spectral clustering, NIPS 2001; von Luxburg, A tutorial on spectral
clustering, 2007, for the graph; scikit-learn's form.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.cluster import SpectralClustering
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph
from torch import Tensor

from pixelcluster.baselines.image_level.base import ImageBaseline

_MAX_IMAGES = 10_000
_N_NEIGHBOURS = 10


class ImageSpectral(ImageBaseline):
    """Spectral clustering on raw pixels, see `ImageBaseline`.

    The unweighted graph joins each image with its 10 nearest by Euclidean distance. It deviates from the
    original in the fit on at most 10,000 images drawn at random (eigenvectors of all would not fit the time),
    and in new images, which the original does not know: they take the majority label of their 10 nearest
    fitted images. The fit takes about a minute whatever the time limit; there is no objective, `history_`
    stays empty.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        rows = torch.randperm(len(pixels), generator=self._random, device=pixels.device)[:_MAX_IMAGES]
        points = (pixels[rows].flatten(1).float() / 255).cpu().numpy()
        n_neighbours = min(_N_NEIGHBOURS, len(points) - 1)
        graph = kneighbors_graph(points, n_neighbours)
        model = SpectralClustering(
            self.n_clusters, affinity="precomputed", assign_labels="kmeans", random_state=self.seed
        )
        with warnings.catch_warnings():
            # Copies of one image may form an island of their own, which is a cluster like any other.
            warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
            labels = model.fit_predict(0.5 * (graph + graph.T))
        self._nearest = KNeighborsClassifier(n_neighbours).fit(points, labels)

    def _assign(self, images: Tensor) -> Tensor:
        labels = self._nearest.predict(images.flatten(1).cpu().numpy())
        return torch.from_numpy(labels.astype(np.int64))
