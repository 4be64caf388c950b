from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_image.kanezaki import Kanezaki, majority
from pixelcluster.metrics.regions import score_regions


def test_a_superpixel_takes_its_most_frequent_label():
    labels = torch.tensor([[5, 5, 7, 0], [2, 5, 7, 7]])
    segments = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])
    assert majority(labels, segments).tolist() == [[5, 5, 7, 7], [5, 5, 7, 7]]


def test_planted_bands_are_found(planted):
    image, truth = planted
    method = Kanezaki(3, steps=60, n_segments=100)
    label_map = method.fit([]).predict(image)
    assert label_map.dtype == np.int32
    assert score_regions(label_map, [truth]).covering > 0.8
    assert method.losses_[-1] < 0.5 * method.losses_[0]
    assert np.array_equal(np.unique(label_map), np.arange(label_map.max() + 1))


def test_the_same_seed_gives_the_same_map(planted):
    maps = [Kanezaki(2, seed=seed, steps=8, n_segments=100).predict(planted[0]) for seed in (1, 1, 2)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_the_budget_is_kept(planted):
    method = Kanezaki(1, minutes=0.01)
    start = time.monotonic()
    method.predict(np.repeat(planted[0], 2, axis=0))
    assert time.monotonic() - start < 3
    assert 1 <= len(method.losses_) < 200


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 50, 3), (200, 30, 3)])
def test_any_size_is_taken(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    assert Kanezaki(2, steps=2).predict(image).shape == shape[:2]
