from __future__ import annotations

import numpy as np

from pixelcluster.baselines.per_pixel.co_occurrence import CoOccurrence
from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans

DARK, BRIGHT, TINT = 0.15, 0.85, np.array([0.1, 0.0, -0.1])


def scenes(n_images, side=64, seed=0):
    """Two kinds of scene, faintly tinted; in each, dark and bright patches stand side by side."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for index in range(n_images):
        level = np.kron(rng.choice([DARK, BRIGHT], (8, 8)), np.ones((side // 8, side // 8)))
        colour = level[..., None] + (TINT if index % 2 else -TINT) + rng.normal(0, 0.02, (side, side, 3))
        images.append(colour.clip(0, 1).astype(np.float32))
        labels.append(np.full((side, side), index % 2, np.uint8))
    return images, labels


def test_what_occurs_together_is_grouped_though_it_looks_different(found):
    images, labels = scenes(8)
    method = CoOccurrence(2, steps=80, crop=64, device="cpu").fit(images)
    assert found(PixelKMeans(2).fit(images), images, labels) < 0.6
    # Other images are of the same kind in 3 of 7 cases, so the best possible loss is about .44 and not 0.
    assert method.losses_[0] > 0.65
    assert np.mean(method.losses_[-10:]) < 0.6
    assert found(method, images, labels) > 0.8


def test_neighbours_share_no_pixel():
    # The receptive field of the trunk is 23 px, neighbours are 6 cells of 4 px apart.
    image = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    method = CoOccurrence(2, steps=1, crop=64, device="cpu").fit([image])
    changed = image.copy()
    changed[:, :32] = 0.5
    before, after = (method.predict(picture) for picture in (image, changed))
    assert np.array_equal(before[:, 48:], after[:, 48:])
