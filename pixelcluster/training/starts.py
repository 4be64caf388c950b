"""Starts of the clusters: where the means are before the first Gibbs sweep.

Sources: random start, Zhu et al., Algorithm 1; K-means++, Arthur and Vassilvitskii, SODA 2007; spectral
partition of a nearest-neighbour graph, Ng, Jordan and Weiss, NIPS 2001.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixelcluster.arguments import LARGEST_SEED
from pixelcluster.errors import PixelClusterError

Start = Literal["random", "kmeans", "spectral"]

_MAX_CELLS = 200_000
_MAX_SPECTRAL_CELLS = 12_000
_N_NEIGHBOURS = 30
_N_RUNS = 10
"""Runs of K-means. The one of least inertia is taken: the model's objective would not tell a poor start."""
_SAME = 1e-4
"""Normalised targets closer than this count as equal: they differ by rounding."""
_LEAST = 1e-6
"""Least affinity of two neighbours, however unlike they are, so that no cell of the graph stands alone."""


def start_means(kind: Start, cells: Tensor, n_clusters: int, *, seed: int = 0) -> Tensor:
    """Return cluster means to start from.

    Args:
        kind: "random" gives every cell a random label; "kmeans"; "spectral" partitions the graph of each
            cell's 30 nearest neighbours by cosine.
        cells: (P, D) normalised targets of unmasked cells; a random part is used where there are many.
        n_clusters: K.
        seed: of all random choices.

    Returns:
        (K, D).

    Raises:
        PixelClusterError: fewer distinct cells than clusters.
    """
    generator = torch.Generator().manual_seed(seed)
    distinct = count_distinct(cells)
    if distinct < n_clusters:
        raise PixelClusterError(
            f"{n_clusters} clusters wanted of {distinct} distinct label cells; lower the number of clusters"
        )
    if kind == "random":
        labels = torch.randint(n_clusters, (len(cells),), generator=generator)
        return cluster_means(cells, labels, n_clusters)
    limit = _MAX_CELLS if kind == "kmeans" else _MAX_SPECTRAL_CELLS
    picked = cells[torch.randperm(len(cells), generator=generator)[:limit]].float().cpu()
    points = picked.numpy() if kind == "kmeans" else spectral_embedding(picked.numpy(), n_clusters)
    return cluster_means(picked, torch.from_numpy(_kmeans(points, n_clusters, seed)), n_clusters)


def count_distinct(cells: Tensor) -> int:
    """Count the cells (P, D), at least one, that differ along a random direction by more than rounding.

    A row of cells each closer than that to the next counts as many as would fit into its length.
    """
    direction = torch.randn(cells.shape[1], generator=torch.Generator().manual_seed(0))
    along = (cells.float().cpu() @ direction).sort().values
    ends = (along.diff() > _SAME).nonzero()[:, 0]
    first, last = functional.pad(ends + 1, (1, 0)), functional.pad(ends, (0, 1), value=len(along) - 1)
    return int((1 + (along[last] - along[first]) // _SAME).long().sum())


def spectral_embedding(points: NDArray[np.float32], n_vectors: int) -> NDArray[np.float32]:
    """Return the row-normalised leading eigenvectors of the normalised nearest-neighbour graph.

    Args:
        points: (P, D).
        n_vectors: number of eigenvectors.

    Returns:
        (P, n_vectors), rows of unit length.
    """
    from scipy import sparse
    from scipy.sparse.linalg import eigsh
    from sklearn.neighbors import kneighbors_graph

    directions = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    n_neighbours = min(_N_NEIGHBOURS, len(points) - 1)
    graph = kneighbors_graph(directions, n_neighbours, mode="distance")
    graph.data = np.maximum(1 - graph.data**2 / 2, _LEAST)  # cosine
    graph = graph.maximum(graph.T)
    scale = sparse.diags(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12) ** -0.5)
    start = np.ones(len(points)) / np.sqrt(len(points))
    n_vectors = min(n_vectors, len(points) - 1)
    vectors = eigsh(scale @ graph @ scale, k=n_vectors, v0=start, which="LA")[1]
    normalised: NDArray[np.float32] = vectors / np.maximum(
        np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12
    )
    return normalised


def _kmeans(points: NDArray[np.float32], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Return the labels of the K-means run of least inertia."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(n_clusters, n_init=_N_RUNS, random_state=seed % (LARGEST_SEED + 1))
    labels: NDArray[np.int64] = kmeans.fit(points).labels_
    return labels.astype(np.int64)


def cluster_means(cells: Tensor, labels: Tensor, n_clusters: int) -> Tensor:
    """Return the mean of the cells (P, D) of each label (P,), (K, D); 0 for a label without cells."""
    sums = cells.new_zeros(n_clusters, cells.shape[1]).index_add_(0, labels, cells)
    return sums / torch.bincount(labels, minlength=n_clusters).clamp_min(1)[:, None]
