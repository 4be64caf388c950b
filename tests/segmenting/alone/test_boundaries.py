from __future__ import annotations

import numpy as np

from pixelcluster.segmenting.alone.boundaries import region_graph, watershed_atoms


def test_watershed_has_one_basin_for_each_minimum_and_for_each_plateau() -> None:
    relief = np.full((7, 9), 0.0, dtype=np.float32)
    relief[:, 4] = 1.0
    atoms = watershed_atoms(relief)
    assert len(np.unique(atoms[:, :4])) == len(np.unique(atoms[:, 5:])) == 1
    assert atoms[0, 0] != atoms[0, 8]
    assert atoms.max() == 1
    assert watershed_atoms(np.zeros((300, 400), dtype=np.float32)).max() == 0
    noise = np.random.default_rng(6).random((100, 100)).astype(np.float32)
    assert watershed_atoms(noise, max_atoms=20).max() < 20


def test_region_graph_counts_frontiers() -> None:
    labels = np.array([[0, 0, 1], [2, 2, 1]])
    first, second, length, total = region_graph(labels, np.arange(6, dtype=np.float32).reshape(2, 3))
    edges = list(zip(first, second, length, total, strict=True))
    assert edges == [(0, 1, 1, 2), (0, 2, 2, 3 + 4), (1, 2, 1, 5)]
