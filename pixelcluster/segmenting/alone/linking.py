"""One head for several regions: joining clusters that need not touch.

Regions far apart that look alike (sky left and right of a tower) share a head where that is cheaper than two,
by the objective of `hierarchy`; clusters that do not touch have no frontier to judge by, and get a fixed
strength.
"""

from __future__ import annotations

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from pixelcluster.segmenting.alone.evidence import Evidence, Float
from pixelcluster.segmenting.alone.hierarchy import (
    TEMPERING,
    Double,
    Graph,
    Int,
    Merges,
    Statistics,
    evidence_apart,
    head_residual,
    likelihood_loss,
)

FAR_STRENGTH = 0.75
PLAIN = 0.7  # units of Lab: a plain colour varies by no more, and two that are one are no further apart
PLAIN_SHARE = 0.1


def link_clusters(
    statistics: Statistics,
    graph: Graph,
    *,
    alike: float = np.inf,
    touching: bool = True,
    exponent: float = TEMPERING,
) -> Merges:
    """Join the pair of clusters, touching or not, with the least evidence apart, until no pair may be joined.

    Args:
        statistics: of n clusters.
        graph: (first, second, length, total strength) of adjacent ones, as from `region_graph`.
        alike: those that do not touch may be joined where their loss is below this.
        touching: whether those that touch may be joined.
        exponent: of `evidence_apart`.

    Returns:
        n - 1 merges at most.
    """
    n = len(statistics.size)
    length, total = np.zeros((n, n)), np.zeros((n, n))
    first, second, edge_length, edge_total = graph
    for matrix, values in ((length, edge_length), (total, edge_total)):
        matrix[first, second] = matrix[second, first] = values
    size, codes = statistics.size.copy(), statistics.codes.copy()
    moments, residual = statistics.moments.copy(), statistics.residual.copy()
    now = Statistics(size, codes, moments, residual)

    def costs(k: int) -> Double:
        one = Statistics(size[k : k + 1], codes[k : k + 1], moments[k : k + 1], residual[k : k + 1])
        touch = length[k] > 0
        strength = np.where(touch, total[k] / np.maximum(length[k], 1), FAR_STRENGTH)
        loss = likelihood_loss(one, now)
        cost = evidence_apart(strength, loss, one.size, size, exponent)
        cost[~touch & (loss >= alike) | touch & (not touching)] = np.inf
        cost[k] = np.inf
        return cost

    cost = np.stack([costs(k) for k in range(n)])
    cost = np.minimum(cost, cost.T)
    merges = Merges(n, [], [])
    node, alive = list(range(n)), np.ones(n, dtype=bool)
    while np.isfinite(cost.min()):
        i, j = sorted(divmod(int(cost.argmin()), n))
        merges.pairs.append((node[i], node[j]))
        merges.costs.append(float(cost[i, j]))
        node[i] = n + len(merges.pairs) - 1
        for part in (size, codes, moments):
            part[i] += part[j]
        residual[i] = head_residual(moments[i : i + 1], size[i : i + 1])[0]
        for matrix in (length, total):
            matrix[i] += matrix[j]
            matrix[:, i] += matrix[:, j]
            matrix[i, i] = 0
        alive[j] = False
        row = np.where(alive, costs(i), np.inf)
        cost[i], cost[:, i] = row, row
        cost[j], cost[:, j] = np.inf, np.inf
    return merges


def one_colour(labels: Int, evidence: Evidence) -> Int:
    """Return a group (n,) for each of n regions (h, w): those of one and the same plain colour are one group.

    Near an edge texture is that of the edge: of a plain ground it says where the edge is, not what is there.
    A region is plain where its cells amid their own colour are all of one, and the others near them.
    """
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(evidence.channels, kernel) - cv2.erode(evidence.channels, kernel)
    amid = (spread <= PLAIN).all(-1)
    n = int(labels.max()) + 1
    cells = np.bincount(labels[amid], minlength=n)
    sums = [np.bincount(labels[amid], values, n) for values in evidence.channels[amid].T]
    mean = np.stack(sums, 1) / np.maximum(cells, 1)[:, None]
    off = np.abs(evidence.channels - mean[labels]).max(-1)
    uneven = np.bincount(labels[amid & (off > PLAIN / 2)], minlength=n)
    near = cv2.dilate(np.asarray(amid, np.uint8), np.ones((7, 7), np.uint8))
    textured = np.bincount(labels[near == 0], minlength=n)
    wanted = np.maximum(PLAIN_SHARE * np.bincount(labels.ravel(), minlength=n), 3)
    plain = np.flatnonzero((cells >= wanted) & (uneven == 0) & (textured == 0))
    group = np.arange(n)
    if len(plain) > 1:
        # Complete linkage: no two of a group are further apart, so that a gradient is no chain of one colour.
        tree = linkage(mean[plain], "complete", "chebyshev")
        group[plain] = n + fcluster(tree, PLAIN, "distance")
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
