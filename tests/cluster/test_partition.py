"""The start of a fit: modularity by hand, joins and moves against brute force, and what the whole is for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import sparse

from pixelcluster.cluster.graph import ImageGraph
from pixelcluster.cluster.partition import joined, leading_vectors, modularity, moved, partition

TRIANGLES = sparse.csr_matrix(
    np.array(
        [
            [0, 1, 1, 0, 0, 0],
            [1, 0, 1, 0, 0, 0],
            [1, 1, 0, 1, 0, 0],
            [0, 0, 1, 0, 1, 1],
            [0, 0, 0, 1, 0, 1],
            [0, 0, 0, 1, 1, 0],
        ],
        dtype=float,
    )
)
"""Two triangles and an edge between them."""


def planted(
    sizes: list[int], inside: float, across: float, seed: int = 0
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """A random graph with clusters, edges within and across drawn with their probabilities."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.where(truth[:, None] == truth, inside, across)
    upper = np.triu(random.random(chance.shape) < chance, 1)
    return sparse.csr_matrix((upper | upper.T).astype(float)), truth


def as_graph(affinity: sparse.csr_matrix) -> ImageGraph:
    upper = sparse.triu(affinity, 1).tocoo()
    degree = np.asarray(affinity.sum(1)).ravel()
    weights = upper.data / np.sqrt(degree[upper.row] * degree[upper.col])
    n = affinity.shape[0]
    return ImageGraph(
        torch.zeros(1),
        torch.zeros(1, 1),
        torch.zeros(n, 1),
        torch.ones(n),
        torch.from_numpy(np.stack([upper.row, upper.col])).long(),
        torch.from_numpy(weights).float(),
    )


def test_modularity_of_two_triangles() -> None:
    """Three of seven edges inside each, half of the ends in each: 6/7 - 1/2."""
    assert modularity(TRIANGLES, np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(6 / 7 - 1 / 2)
    assert modularity(TRIANGLES, np.zeros(6, dtype=np.int64)) == pytest.approx(0)


def test_joins_and_moves_reach_the_best_partition() -> None:
    best = max(modularity(TRIANGLES, np.array(labels)) for labels in itertools.product((0, 1), repeat=6))
    assert modularity(TRIANGLES, joined(TRIANGLES, np.arange(6), 2)) == pytest.approx(best)
    assert modularity(TRIANGLES, moved(TRIANGLES, np.array([0, 0, 1, 1, 1, 1]), 0)) == pytest.approx(best)


def test_joins_end_at_k_with_ids_in_a_row() -> None:
    affinity, truth = planted([15] * 4, 0.6, 0.02)
    split = truth * 2 + np.arange(len(truth)) % 2
    assert set(joined(affinity, split, 5)) == set(range(5))
    together = joined(affinity, split, 4)
    assert len({*zip(together, truth, strict=True)}) == 4
    assert np.array_equal(joined(affinity, truth, 9), truth)


def test_eigenvectors_come_largest_first() -> None:
    affinity, _ = planted([10, 10, 10], 0.8, 0.05)
    degree = np.asarray(affinity.sum(1)).ravel() ** -0.5
    normalised = sparse.diags(degree) @ affinity @ sparse.diags(degree)
    vectors = leading_vectors(normalised.tocsr(), 4)
    values = np.einsum("ne,ne->e", vectors, normalised @ vectors)
    assert np.all(np.diff(values) <= 1e-6)
    assert values[0] == pytest.approx(1)


def test_a_loose_class_is_not_cut_where_two_close_ones_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its halves hardly touch, the last two classes touch more: a spectral partition alone goes astray."""
    affinity, truth = planted([40] * 5, 0.5, 0.004)
    dense = affinity.toarray()
    random = np.random.default_rng(1)
    for first, second, chance in ((range(20), range(20, 40), 0.03), (range(120, 160), range(160, 200), 0.1)):
        block = (random.random((len(first), len(second))) < chance).astype(float)
        dense[np.ix_(first, second)], dense[np.ix_(second, first)] = block, block.T
    graph = as_graph(sparse.csr_matrix(dense))
    assert len({*zip(partition(graph, 5, 0).tolist(), truth, strict=True)}) == 5
    monkeypatch.setattr("pixelcluster.cluster.partition._MORE", ())
    assert len({*zip(partition(graph, 5, 0).tolist(), truth, strict=True)}) > 5


def test_partition_repeats() -> None:
    graph = as_graph(planted([12] * 3, 0.7, 0.05)[0])
    assert torch.equal(partition(graph, 3, 0), partition(graph, 3, 0))
