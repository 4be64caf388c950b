"""The table of clusters, counted piece by piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pixelcluster.segmenting.segmentation import ClusterRow, cluster_rows


class Tally:
    """Pixels and means of each cluster over all windows of a scene or all frames of a clip.

    Args:
        n_clusters: K.
    """

    def __init__(self, n_clusters: int) -> None:
        self.pixels = np.zeros(n_clusters, np.int64)
        self._colours = np.zeros((n_clusters, 3))
        self._values = np.zeros(n_clusters)
        self._valued = False

    def add(
        self,
        ids: NDArray[np.int32],
        colours: NDArray[np.float32],
        values: NDArray[np.float32] | None = None,
    ) -> None:
        """Count pixels: ids (n,), colours (n, 3) in [0, 1] and, each time or never, values (n,) of a band."""
        n_clusters = len(self.pixels)
        self.pixels += np.bincount(ids, minlength=n_clusters)
        for c in range(3):
            self._colours[:, c] += np.bincount(ids, colours[:, c], n_clusters)
        if values is not None:
            self._values += np.bincount(ids, values, n_clusters)
            self._valued = True

    def shares(self) -> NDArray[np.float64]:
        """Return each cluster's share of the pixels, (K,)."""
        shares: NDArray[np.float64] = self.pixels / max(1, self.pixels.sum())
        return shares

    def rows(self, names: Sequence[str]) -> list[ClusterRow]:
        """Return one row a cluster, with its name of K names."""
        counts = np.maximum(self.pixels, 1)
        values = self._values / counts if self._valued else None
        return cluster_rows(self.pixels, self._colours / counts[:, None], names, values)
