from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel import features
from pixelcluster.baselines.per_pixel.base import usable_images
from pixelcluster.baselines.per_pixel.features import cluster_features, drawn, nearness
from pixelcluster.errors import PixelClusterError


def test_the_nearest_centre_scores_highest():
    rng = torch.Generator().manual_seed(0)
    values, centres = torch.randn(2, 5, 3, 4, generator=rng), torch.randn(6, 5, generator=rng)
    distances = torch.cdist(values.permute(0, 2, 3, 1).reshape(-1, 5), centres)
    scores = nearness(values, centres).permute(0, 2, 3, 1).reshape(-1, 6)
    assert torch.equal(scores.argmax(1), distances.argmin(1))
    gap = scores - (-0.5 * distances.square())
    assert torch.allclose(gap, gap[:, :1].expand_as(gap), atol=1e-4)


def test_centres_are_those_of_the_unmasked_cells():
    image = np.zeros((8, 16, 3), np.float32)
    image[:, 4:8], image[:, 8:] = 0.5, 1.0
    mask = np.ones((8, 16), bool)
    mask[:, 8:] = False
    pool = torch.nn.AvgPool2d(4)
    usable = usable_images([image], [mask])
    centres = cluster_features(pool, usable, 2, seed=0, device=torch.device("cpu"))
    assert torch.allclose(centres.sort(0).values, torch.tensor([[0.0] * 3, [0.5] * 3]), atol=1e-6)
    with pytest.raises(PixelClusterError, match="4 usable pixels for 5 clusters"):
        cluster_features(pool, usable, 5, seed=0, device=torch.device("cpu"))


def test_of_many_images_some_are_drawn_before_their_features_are_computed(monkeypatch):
    monkeypatch.setattr(features, "_IMAGES", 5)
    images = usable_images([np.full((4, 4, 3), level, np.float32) for level in np.linspace(0, 1, 20)], None)
    seen = []

    def pool(batch):
        seen.append(float(batch.mean()))
        return torch.nn.functional.avg_pool2d(batch, 4)

    cluster_features(pool, images, 2, seed=0, device=torch.device("cpu"))
    assert len(seen) == len(set(seen)) == 5
    assert [image.max() for image, _ in drawn(images, 0)] == pytest.approx(seen)
    assert len(drawn(images[:3], 0)) == 3
