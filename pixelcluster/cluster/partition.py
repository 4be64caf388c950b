"""The partition that starts a fit: of several spectral partitions of the graph, that of highest modularity.

    Q = sum_k (e_kk - a_k^2),  e_kk the share of the edges' weight inside cluster k, a_k that of its edge ends

The normalised cut, which a spectral partition relaxes, may split one loose class and leave two close ones
together: on scikit-learn's digits it is lower so (0.107) than for the true classes (0.157), modularity is
not (0.875, 0.884). Partitions into K to 2 K clusters are therefore joined down to K where Q loses least,
their images moved where Q gains, and Q chooses among them, never a label.

Sources: Ng, Jordan and Weiss, NIPS 2001 (spectral partition); Newman and Girvan, Physical Review E 69, 2004
(Q); Clauset, Newman and Moore, Physical Review E 70, 2004 (joins); Blondel et al., 2008 (moves).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans
from torch import Tensor

from pixelcluster.cluster.graph import ImageGraph

Labels = NDArray[np.int64]
Vectors = NDArray[np.float64]

_MORE = (1.25, 1.5, 2.0)
"""Clusters of the further partitions, in K; those that half of the images cannot fill are left out."""
_ROUNDS = 30


def partition(graph: ImageGraph, n_clusters: int, seed: int) -> Tensor:
    """Return labels (N,) int64 of the images, ids 0..K-1.

    Args:
        graph: connected, see `graph.connect`.
        n_clusters: K, at most N.
        seed: of K-means and of the order of moves.
    """
    n_images = len(graph.places)
    heads, tails = torch.cat([graph.edges, graph.edges.flip(0)], dim=1).numpy()
    affinity = sparse.csr_matrix(
        (graph.weights.repeat(2).double().numpy(), (heads, tails)), shape=(n_images, n_images)
    )
    more = {math.ceil(factor * n_clusters) for factor in _MORE}
    counts = sorted({n_clusters, *(count for count in more if count <= n_images // 2)})
    vectors = leading_vectors(affinity, counts[-1])
    candidates = []
    for count in counts:
        labels = moved(
            affinity, joined(affinity, _spectral(vectors[:, :count], count, seed), n_clusters), seed
        )
        candidates.append((modularity(affinity, labels), -count, labels))
    return torch.from_numpy(max(candidates, key=lambda candidate: candidate[:2])[2])


def leading_vectors(affinity: sparse.csr_matrix, count: int) -> Vectors:
    """Return the leading eigenvectors (N, min(count, N - 1)) of a normalised affinity, the largest first."""
    n_images = affinity.shape[0]
    start = np.ones(n_images) / np.sqrt(n_images)
    values, vectors = eigsh(affinity, k=min(count, n_images - 1), v0=start, which="LA", tol=1e-4)
    leading: Vectors = vectors[:, np.argsort(-values)]
    return leading


def modularity(affinity: sparse.csr_matrix, labels: Labels) -> float:
    """Return Q of labels (N,) on a symmetric affinity (N, N)."""
    shares = _shares(affinity, labels)
    return float(np.trace(shares) - np.square(shares.sum(1)).sum())


def joined(affinity: sparse.csr_matrix, labels: Labels, n_clusters: int) -> Labels:
    """Join clusters, two at a time, where Q loses least, until there are at most K; ids 0..K-1."""
    labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    shares = _shares(affinity, labels)
    while len(shares) > n_clusters:
        ends = shares.sum(1)
        gain = shares - np.outer(ends, ends)
        np.fill_diagonal(gain, -np.inf)
        kept, gone = sorted(divmod(int(gain.argmax()), len(shares)))
        for _ in range(2):  # rows, then columns
            shares[kept] += shares[gone]
            shares = np.delete(shares, gone, axis=0).T
        labels[labels == gone] = kept
        labels[labels > gone] -= 1
    return labels


def moved(affinity: sparse.csr_matrix, labels: Labels, seed: int) -> Labels:
    """Move images to the cluster where Q gains most, half of those that would gain at a time."""
    random = np.random.default_rng(seed)
    degree = np.asarray(affinity.sum(axis=1)).ravel()
    total, n_clusters = degree.sum(), int(labels.max()) + 1
    for _ in range(_ROUNDS):
        member = np.eye(n_clusters)[labels]
        ends = member.T @ degree
        others = ends - member * degree[:, None]  # nobody is drawn to a cluster by himself
        best = (affinity @ member - degree[:, None] * others / total).argmax(1)
        wanted = best != labels
        if not wanted.any():
            break
        chosen = wanted & (random.random(len(labels)) < 0.5)
        labels = np.where(chosen, best, labels)
    return labels


def _spectral(vectors: Vectors, n_clusters: int, seed: int) -> Labels:
    """Return K-means labels (N,) of row-normalised eigenvectors (N, E)."""
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    labels: Labels = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(rows).astype(np.int64)
    return labels


def _shares(affinity: sparse.csr_matrix, labels: Labels) -> Vectors:
    """Return the shares (K, K) of the weight between clusters, both directions."""
    member = sparse.csr_matrix((np.ones(len(labels)), labels, np.arange(len(labels) + 1)))
    shares: Vectors = (member.T @ affinity @ member).toarray()
    shares /= shares.sum()
    return shares
