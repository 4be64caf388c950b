"""The table of clusters, counted piece by piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixelcluster.segmenting.segmentation import ClusterRow, cluster_rows


class Tally:
    """Pixels and mean colour of each cluster over all windows of a scene or all frames of a clip.

    Args:
        n_clusters: K.
    """

    def __init__(self, n_clusters: int) -> None:
        self.pixels = np.zeros(n_clusters, np.int64)
        self._colours = np.zeros((n_clusters, 3))

    def add(self, ids: NDArray[np.int32], colours: NDArray[np.float32]) -> None:
        """Count pixels: ids (n,) and colours (n, 3) in [0, 1]."""
        n_clusters = len(self.pixels)
        self.pixels += np.bincount(ids, minlength=n_clusters)
        for c in range(3):
            self._colours[:, c] += np.bincount(ids, colours[:, c], n_clusters)

    def shares(self) -> NDArray[np.float64]:
        """Return each cluster's share of the pixels, (K,)."""
        shares: NDArray[np.float64] = self.pixels / max(1, self.pixels.sum())
        return shares

    def rows(self, names: Sequence[str]) -> list[ClusterRow]:
        """Return one row a cluster, with its name of K names."""
        return cluster_rows(self.pixels, self._colours / np.maximum(self.pixels, 1)[:, None], names)
