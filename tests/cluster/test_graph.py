"""Votes of neighbours are numbers, however near these are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelcluster.cluster.estimator import ImageCluster
from pixelcluster.cluster.graph import ImageGraph, build_graph, neighbour_votes
from pixelcluster.cluster.settings import ImageSettings


def test_votes_are_affinities_of_the_neighbours() -> None:
    places = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    squared = torch.cdist(places, places).square()
    radii = squared.topk(5, largest=False).values[:, -1]
    empty = torch.zeros(0)
    graph = ImageGraph(empty, empty, places, radii, torch.zeros(2, 0, dtype=torch.int64), empty)
    probabilities = torch.rand(40, 3, generator=torch.Generator().manual_seed(1))
    new = torch.zeros(1, 3)
    away = places.square().sum(1)
    near = away.topk(4, largest=False).indices
    affinity = torch.exp(-away[near] / (away[near].max() * radii[near]).sqrt())
    expected = (affinity[:, None] * probabilities[near]).sum(0) / affinity.sum()
    torch.testing.assert_close(neighbour_votes(graph, probabilities, new, 4)[0], expected)


def test_a_new_image_beside_copies_has_probabilities() -> None:
    """Thirty blank images are one point of the graph; one with a speck is infinitely far by its scale."""
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
    images[30:] = 0
    query = np.zeros((1, 16, 16), np.uint8)
    query[0, 8, 8] = 40
    settings = ImageSettings(
        side=16, generator_side=8, n_factors=1, iterations=3, batch_size=32, student_epochs=0
    )
    model = ImageCluster(2, settings=settings).fit(images)
    probabilities = model.predict_proba(query)
    assert probabilities.sum() == pytest.approx(1)
    assert model.predict(query)[0] == model.labels_[40]
    assert build_graph(model.tensor(images), 10).weights.isfinite().all()
