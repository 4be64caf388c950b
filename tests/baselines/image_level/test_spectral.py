from __future__ import annotations

import numpy as np

from pixelcluster.baselines.image_level.spectral import ImageSpectral
from tests.baselines.image_level.planted import agreement, planted


def test_planted_clusters_are_found_on_new_images():
    images, _ = planted()
    unseen, labels = planted(seed=1)
    assert agreement(ImageSpectral(3).fit(images).predict(unseen), labels) == 1


def test_a_ring_is_told_from_its_centre():
    """K-means cannot: the clusters' means are the same."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 200)
    radius = np.where(np.arange(200) < 80, 8, 90)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1) + rng.normal(0, 2, (200, 2)) + 127
    images = points.round().astype(np.uint8).reshape(200, 1, 2, 1)
    found = ImageSpectral(2).fit(images).predict(images)
    assert (found[:80] == found[0]).all()
    assert (found[80:] != found[0]).all()
