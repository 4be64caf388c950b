"""One head for several regions: joining clusters that need not touch, to the end or to an exact number.

Regions far apart that look alike (sky left and right of a tower) share a head where that is cheaper than two,
by the objective of `hierarchy`; clusters that do not touch have no frontier to judge by, and get a fixed
strength.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from pixelcluster.segmenting.alone.evidence import Float
from pixelcluster.segmenting.alone.hierarchy import (
    Double,
    Int,
    Statistics,
    description_length,
    evidence_apart,
    head_residual,
    likelihood_loss,
)

FAR_STRENGTH = 0.75
PLAIN = 0.5  # squared units of Lab: colours vary by less, or are no further apart


def link_clusters(
    statistics: Statistics, graph: tuple[Int, Int, Double, Double], *, n_clusters: int | None = None
) -> Int:
    """Join clusters, touching or not, by the least evidence apart.

    Args:
        statistics: of n regions.
        graph: (first, second, length, total strength) of adjacent regions, as from `region_graph`.
        n_clusters: go on to this many; where None, join only clusters that do not touch, so that the regions
            stay as they are, and stop where a join no longer pays.

    Returns:
        (n,) cluster of each region, ids 0..K-1.
    """
    n = len(statistics.size)
    length, total = np.zeros((n, n)), np.zeros((n, n))
    first, second, edge_length, edge_total = graph
    for matrix, values in ((length, edge_length), (total, edge_total)):
        matrix[first, second] = matrix[second, first] = values
    cluster = np.arange(n)
    alive = np.ones(n, dtype=bool)
    size, codes = statistics.size.copy(), statistics.codes.copy()
    moments, residual = statistics.moments.copy(), statistics.residual.copy()
    now = Statistics(size, codes, moments, residual)
    cost = np.stack([_costs(now, k, length, total, n_clusters is None) for k in range(n)])
    cost = np.minimum(cost, cost.T)
    while (count := int(alive.sum())) > (n_clusters or 1):
        i, j = sorted(divmod(int(cost.argmin()), n))
        if n_clusters is None and not cost[i, j] < description_length(count):
            break
        for part in (size, codes, moments):
            part[i] += part[j]
        residual[i] = head_residual(moments[i : i + 1], size[i : i + 1])[0]
        for matrix in (length, total):
            matrix[i] += matrix[j]
            matrix[:, i] += matrix[:, j]
            matrix[i, i] = 0
        alive[j] = False
        cluster[cluster == j] = i
        row = np.where(alive, _costs(now, i, length, total, n_clusters is None), np.inf)
        cost[i], cost[:, i] = row, row
        cost[j], cost[:, j] = np.inf, np.inf
    ids: Int = np.unique(cluster, return_inverse=True)[1]
    return ids


def one_colour(statistics: Statistics) -> Int:
    """Return a group (n,) for each of n regions: those of one and the same plain colour are one group.

    Near an edge texture is that of the edge: of a plain ground it says where the edge is, not what is there.
    """
    mean = statistics.moments[:, :3] / statistics.size[:, None]
    plain = np.flatnonzero(statistics.residual < PLAIN * statistics.size)
    group = np.arange(len(mean))
    if len(plain) > 1:
        # Complete linkage: no two of a group are further apart, so that a gradient is no chain of one colour.
        tree = linkage(mean[plain], "complete", "chebyshev")
        group[plain] = len(mean) + fcluster(tree, PLAIN**0.5, "distance")
    ids: Int = np.unique(group, return_inverse=True)[1]
    return ids


def split_clusters(labels: NDArray[np.int32], image: Float, n_clusters: int) -> NDArray[np.int32]:
    """Divide clusters by colour until there are `n_clusters`, or no cluster holds two colours.

    For images with fewer basins than clusters asked for: the cluster with the largest sum of squares is cut
    half way along its principal axis (after Wu, "Efficient statistical computations for optimal color
    quantization", Graphics Gems II, 1991).

    Args:
        labels: (H, W) ids 0..K-1.
        image: (H, W, C).
        n_clusters: wanted.

    Returns:
        (H, W) int32 ids 0..K'-1, K' <= n_clusters.
    """
    count = int(labels.max()) + 1
    if count >= n_clusters:
        return labels
    out = labels.ravel().copy()
    colours = image.reshape(-1, image.shape[-1])
    heap = [(-_sum_of_squares(colours[out == k]), k) for k in range(count)]
    heapq.heapify(heap)
    while count < n_clusters and heap and heap[0][0] < 0:
        _, k = heapq.heappop(heap)
        members = np.nonzero(out == k)[0]
        points = colours[members].astype(np.float64)
        points -= points.mean(0)
        axis = np.linalg.eigh(points.T @ points)[1][:, -1]
        along = points @ axis
        upper = along > (along.min() + along.max()) / 2
        out[members[upper]] = count
        for part, name in ((members[~upper], k), (members[upper], count)):
            heapq.heappush(heap, (-_sum_of_squares(colours[part]), name))
        count += 1
    split: NDArray[np.int32] = out.reshape(labels.shape)
    return split


def _sum_of_squares(colours: Float) -> float:
    if not np.ptp(colours, axis=0).any():
        return 0.0
    return float(((colours - colours.mean(0, dtype=np.float64)) ** 2).sum())


def _costs(statistics: Statistics, k: int, length: Double, total: Double, apart_only: bool) -> Double:
    """Evidence between cluster k and every other, (n,); infinite where they may not join."""
    one = Statistics(*(getattr(statistics, f)[k : k + 1] for f in ("size", "codes", "moments", "residual")))
    touching = length[k] > 0
    strength = np.where(touching, total[k] / np.maximum(length[k], 1), FAR_STRENGTH)
    cost = evidence_apart(strength, likelihood_loss(one, statistics), one.size, statistics.size)
    if apart_only:
        cost[touching] = np.inf
    cost[k] = np.inf
    return cost
