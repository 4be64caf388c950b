"""Counts, means and covariances of clusters from cells that arrive image by image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_SMALLEST_SIGMA = 1e-3
"""Least noise of normalised targets, for a cluster whose cells all sit on its mean."""


class ClusterMoments:
    """Sums over the cells of each cluster, in float64; memory does not grow with the cells.

    Args:
        n_clusters: K.
        n_channels: D.
        device: where the cells are.
    """

    def __init__(self, n_clusters: int, n_channels: int, device: torch.device) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.counts = zeros(n_clusters)
        self._sums = zeros(n_clusters, n_channels)
        self._products = zeros(n_clusters, n_channels, n_channels)

    def add(self, cells: Tensor, labels: Tensor) -> None:
        """Take in cells (P, D) and their clusters (P,) int64."""
        cells = cells.double()
        counts = torch.bincount(labels, minlength=len(self.counts))
        self.counts += counts
        self._sums.index_add_(0, labels, cells)
        for k in counts.nonzero().flatten().tolist():
            own = cells[labels == k]
            self._products[k] += own.T @ own

    def reduce(self, total: Callable[[Tensor], Tensor]) -> None:
        """Sum over the processes that share the cells, by a function that sums a tensor."""
        self.counts, self._sums, self._products = map(total, (self.counts, self._sums, self._products))

    def means(self) -> Tensor:
        """Return the means (K, D) float32, 0 for a cluster without cells."""
        return self._means().float()

    def spread(self) -> float:
        """Return the standard deviation of all cells around the means of their clusters, at least 0.001."""
        variance = self._scatter().diagonal(dim1=1, dim2=2).sum() / (self.counts.sum() * self._sums.shape[1])
        return max(float(variance.clamp_min(0).sqrt()), _SMALLEST_SIGMA)

    def covariances(self) -> Tensor:
        """Return covariances (K, D, D) float64, shrunk towards spread^2 I by 10 D pseudo-cells."""
        n_channels = self._sums.shape[1]
        weight = 10 * n_channels
        prior = weight * self.spread() ** 2 * torch.eye(n_channels, device=self.counts.device)
        shrunk: Tensor = (self._scatter() + prior) / (self.counts + weight)[:, None, None]
        return shrunk

    def _means(self) -> Tensor:
        means: Tensor = self._sums / self.counts.clamp_min(1)[:, None]
        return means

    def _scatter(self) -> Tensor:
        """Return the sums of products around the means, (K, D, D)."""
        scatter: Tensor = self._products - self._sums[:, :, None] * self._means()[:, None]
        return scatter
