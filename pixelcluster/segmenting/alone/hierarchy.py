"""Merging clusters by the objective: from watershed atoms to the number of clusters the image supports.

Two clusters i, j become one where the tempered evidence against it is smaller than what a cluster costs:

    (s_ij min(1, d_ij / d_0) + d_ij) * tempered(min(n_i, n_j))  <  description_length(K)

s_ij is the mean strength of their frontier, the contrast-sensitive Potts cost of keeping them joined; d_ij
is the log likelihood lost per cell when one head explains both: a chi-square between their mean codes (the
second order of the categorical log likelihood ratio) and the saturated increase of the Gaussian residual
under heads that are affine in the latent field z, here fixed at its smoothest modes, the two coordinates:
shading that varies slowly inside a cluster costs nothing. tempered(n) is (n / n_0)^p, for neighbouring
cells are far from independent, and falls to 0 with n below a hundred cells. The description length of one
more cluster falls slowly as clusters become few, a prior on K.

The constants were chosen on images 40..99 (sorted) of the BSDS500 validation set; 0..39 were left out.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelcluster.segmenting.alone.evidence import N_BINS, Evidence

Int = NDArray[np.intp]
Double = NDArray[np.float64]
Graph = tuple[Int, Int, Double, Double]  # first, second, length and total strength of pairs that touch

TEMPERING = 0.1  # exponent p: cells are far from independent evidence
REFERENCE_SIZE = 500.0  # cells n_0 at which tempering is 1
COLOUR_WEIGHT, TEXTURE_WEIGHT, HEAD_WEIGHT = 0.15, 0.3, 0.3
NOISE = 7.0  # channel units (Lab) at which the residual of the heads begins to saturate
ALIKE = 0.1  # loss below which two regions count as alike, and their frontier as weaker than its strength
SMALL = 100.0  # cells below which evidence fades: slivers along soft edges do not stand alone
CLUSTER_COST, COUNT_SLOPE, TYPICAL_COUNT = 1.05, 0.15, 10.0
FIELD_UNIT = 100.0  # cells
_TRACE = 1e-6  # weight
_COLOURS = 3 * N_BINS  # columns of the codes that are colour; the others are texture
_FIELD_RIDGE = 1e-4  # prior variance of positions, keeps loadings of thin regions finite


@dataclass(frozen=True)
class Statistics:
    """Sums over the cells of regions; those of a union are the sums of its parts' (but for the residual).

    Attributes:
        size: (n,) cells.
        codes: (n, A) soft codes of channels and texture, each times its weight in the loss; texture times
            what it counts besides.
        moments: (n, 17) sums of 3 channels, z (2), z z' (3), squared channels (3), channels x z (6).
        residual: (n,) sum of squared residuals of the best affine head.
    """

    size: Double
    codes: Double
    moments: Double
    residual: Double


@dataclass(frozen=True)
class Merges:
    """A binary tree over atoms: merge m joins `pairs[m]` into node n_atoms + m at `costs[m]`."""

    n_atoms: int
    pairs: list[tuple[int, int]]
    costs: list[float]

    def cut(self, n_merges: int) -> Int:
        """Cluster of each atom after the first merges, (n_atoms,), ids 0..K-1."""
        return np.unique(self._roots(n_merges), return_inverse=True)[1]

    def _roots(self, n_merges: int) -> Int:
        """Node each atom is in after the first merges, (n_atoms,)."""
        parent = np.arange(self.n_atoms + len(self.pairs))
        for m, (i, j) in enumerate(self.pairs[:n_merges]):
            parent[i] = parent[j] = self.n_atoms + m
        while True:
            further = parent[parent]
            if np.array_equal(further, parent):
                break
            parent = further
        return parent[: self.n_atoms]

    def then(self, n_merges: int, later: Merges) -> Merges:
        """Return the first merges followed by those of a tree over the clusters they leave."""
        nodes = np.concatenate([
            np.unique(self._roots(n_merges)), self.n_atoms + n_merges + np.arange(len(later.pairs))
        ])  # fmt: skip
        pairs = [(int(nodes[i]), int(nodes[j])) for i, j in later.pairs]
        return Merges(self.n_atoms, self.pairs[:n_merges] + pairs, self.costs[:n_merges] + later.costs)


def description_length(n_clusters: int | Int) -> Double:
    """What the last of K clusters costs, in units of tempered evidence."""
    count = np.asarray(n_clusters, dtype=np.float64)
    cost: Double = CLUSTER_COST + COUNT_SLOPE * np.log(count / TYPICAL_COUNT)
    return cost


def region_statistics(labels: Int, evidence: Evidence) -> Statistics:
    """Sum the evidence over regions.

    Args:
        labels: (h, w) region ids 0..n-1.
        evidence: the stack on the same grid; cells count by their weight, which a trace is left of, so that
            regions without any have means, and join others for nothing.

    Returns:
        The statistics of the n regions.
    """
    flat = labels.ravel()
    n = int(flat.max()) + 1
    weight = None if evidence.weight is None else np.maximum(evidence.weight.ravel(), _TRACE)

    def total(values: NDArray[np.floating]) -> Double:
        weighted = values.ravel() if weight is None else values.ravel() * weight
        return np.bincount(flat, weighted, n).astype(np.float64, copy=False)

    def sums(planes: list[NDArray[np.floating]]) -> Double:
        return np.stack([total(plane) for plane in planes], 1)

    v, u = (axis / FIELD_UNIT for axis in np.mgrid[: labels.shape[0], : labels.shape[1]])
    c = [evidence.channels[..., k].astype(np.float64) for k in range(3)]
    moments = [*c, u, v, u * u, u * v, v * v, *(x * x for x in c), *(x * z for x in c for z in (u, v))]
    size = total(np.ones(labels.shape))
    colour = COLOUR_WEIGHT * sums([plane for codes in evidence.channel_codes for plane in codes])
    texture = TEXTURE_WEIGHT * sums(list(evidence.texture_codes))
    table = sums(moments)
    return Statistics(size, np.concatenate([colour, texture], 1), table, head_residual(table, size))


def head_residual(moments: Double, size: Double) -> Double:
    """Sum of squared residuals of the best affine head, over cells and channels.

    Args:
        moments: (n, 17) as in `Statistics`.
        size: (n,).

    Returns:
        (n,) sum of |x - mu - A z|^2.
    """
    m = (moments / size[:, None]).T
    u, v = m[3], m[4]
    uu = m[5] - u * u + _FIELD_RIDGE
    uv = m[6] - u * v
    vv = m[7] - v * v + _FIELD_RIDGE
    mean = m[:3]
    xu, xv = m[11::2] - mean * u, m[12::2] - mean * v
    explained = (vv * xu * xu - 2 * uv * xu * xv + uu * xv * xv) / (uu * vv - uv * uv)
    residual: Double = np.maximum(m[8:11] - mean * mean - explained, 0.0).sum(0) * size
    return residual


def likelihood_loss(one: Statistics, others: Statistics) -> Double:
    """Log likelihood lost per cell when one head explains two regions, d_ij.

    Args:
        one: statistics of one region, or of n.
        others: statistics of n regions.

    Returns:
        (n,) nonnegative.
    """
    mean, other_mean = one.codes / one.size[:, None], others.codes / others.size[:, None]
    # weights are linear factors of both means, so they come out of (a - b)^2 / (a + b) unsquared
    loss = _chi_square(mean[:, :_COLOURS], other_mean[:, :_COLOURS])
    texture, other_texture = mean[:, _COLOURS:], other_mean[:, _COLOURS:]
    counts, other_counts = texture.sum(1, keepdims=True), other_texture.sum(1, keepdims=True)
    apart = _chi_square(texture / counts, other_texture / other_counts)
    loss += np.minimum(counts, other_counts)[:, 0] * apart
    both = one.size + others.size
    together = head_residual(one.moments + others.moments, both)
    # per cell of the harmonic size, so that the value does not depend on how unequal the two are
    increase = np.maximum(together - one.residual - others.residual, 0.0) * both / (one.size * others.size)
    loss += HEAD_WEIGHT * increase / (increase + 4 * NOISE**2)
    return loss


def _chi_square(a: Double, b: Double) -> Double:
    distance: Double = 0.5 * ((a - b) ** 2 / (a + b + 1e-6)).sum(1)
    return distance


def evidence_apart(
    strength: Double, loss: Double, size_a: Double, size_b: Double, exponent: float = TEMPERING
) -> Double:
    """Tempered evidence against joining two clusters, (n,); it grows by `exponent` with their cells."""
    # A wide disc sees an edge from afar: strength between regions that look alike belongs to that edge.
    here = strength * np.minimum(loss / ALIKE, 1.0)
    smaller = np.minimum(size_a, size_b)
    weight = (smaller / REFERENCE_SIZE) ** exponent * np.minimum(smaller / SMALL, 1.0)
    tempered: Double = (here + loss) * weight
    return tempered


def merge_regions(statistics: Statistics, graph: Graph) -> Merges:
    """Join the pair of adjacent regions with the least evidence apart, until one is left.

    Args:
        statistics: of n atoms.
        graph: (first, second, length, total strength) of adjacent atoms, as from `region_graph`.

    Returns:
        n - 1 merges (fewer where the graph is not connected).
    """
    n = len(statistics.size)
    table = _Table(statistics)
    first, second, length, total = graph
    neighbours: list[dict[int, tuple[float, float]]] = [{} for _ in range(2 * n)]
    for i, j, *edge in zip(*(part.tolist() for part in graph), strict=True):
        neighbours[i][j] = neighbours[j][i] = (edge[0], edge[1])
    cost = evidence_apart(
        total / length,
        likelihood_loss(table[first], table[second]),
        statistics.size[first],
        statistics.size[second],
    )
    heap = list(zip(cost.tolist(), first.tolist(), second.tolist(), strict=True))
    heapq.heapify(heap)
    alive = [True] * n + [False] * n
    merges = Merges(n, [], [])
    node = n
    while heap:
        value, i, j = heapq.heappop(heap)
        if not (alive[i] and alive[j]):
            continue
        merges.pairs.append((i, j))
        merges.costs.append(value)
        alive[i] = alive[j] = False
        alive[node] = True
        table.join(i, j, node)
        mine = neighbours[node]
        for child in (i, j):
            for other, (edge_length, edge_total) in neighbours[child].items():
                if other in (i, j):
                    continue
                known = mine.get(other, (0.0, 0.0))
                mine[other] = (known[0] + edge_length, known[1] + edge_total)
                neighbours[other].pop(child, None)
            neighbours[child] = {}
        if mine:
            others = np.fromiter(mine, dtype=np.intp, count=len(mine))
            edges = np.array(list(mine.values()))
            here, there = table[node : node + 1], table[others]
            loss = likelihood_loss(here, there)
            costs = evidence_apart(edges[:, 1] / edges[:, 0], loss, here.size, there.size)
            for other, edge_cost in zip(others.tolist(), costs.tolist(), strict=True):
                neighbours[other][node] = mine[other]
                heapq.heappush(heap, (edge_cost, other, node))
        node += 1
    return merges


def best_number_of_merges(merges: Merges) -> int:
    """Number of merges until one would cost more than the cluster it saves."""
    highest = -np.inf
    for m, cost in enumerate(merges.costs):
        highest = max(highest, cost)  # a later merge may be cheaper, but only after this one is accepted
        if highest > description_length(merges.n_atoms - m):
            return m
    return len(merges.costs)


def objective_trace(merges: Merges, n_merges: int) -> list[float]:
    """Objective after each merge, from 0: description length saved minus evidence given up."""
    counts = merges.n_atoms - np.arange(n_merges)
    gains = description_length(counts) - np.array(merges.costs[:n_merges])
    trace: list[float] = np.concatenate([[0.0], np.cumsum(gains)]).tolist()
    return trace


class _Table:
    """Statistics of atoms and of the nodes made from them, grown in place."""

    def __init__(self, atoms: Statistics) -> None:
        parts = (atoms.size, atoms.codes, atoms.moments, atoms.residual)
        self._parts = [np.concatenate([p, np.zeros_like(p)]) for p in parts]

    def __getitem__(self, index: Int | slice) -> Statistics:
        size, codes, moments, residual = self._parts
        return Statistics(size[index], codes[index], moments[index], residual[index])

    def join(self, i: int, j: int, node: int) -> None:
        size, codes, moments, residual = self._parts
        for part in (size, codes, moments):
            part[node] = part[i] + part[j]
        residual[node] = head_residual(moments[node : node + 1], size[node : node + 1])[0]
