from __future__ import annotations

import numpy as np

from pixelcluster.segmenting.alone.evidence import (
    image_evidence,
)
from pixelcluster.segmenting.alone.hierarchy import region_statistics
from pixelcluster.segmenting.alone.linking import one_colour, split_clusters


def test_split_gives_every_colour_its_cluster() -> None:
    image = np.array([[[0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]]], dtype=np.float32)
    start = np.zeros((1, 4), dtype=np.int32)
    assert split_clusters(start, image, 2).max() == 1
    assert len(np.unique(split_clusters(start, image, 8))) == 3


def test_nothing_to_split_is_left_alone() -> None:
    labels = np.array([[0, 1, 2]], dtype=np.int32)
    assert split_clusters(labels, np.zeros((1, 3, 3), np.float32), 3) is labels


def test_a_gradient_is_no_plain_colour() -> None:
    ramp = np.repeat(np.tile(np.linspace(0.2, 0.8, 160, dtype=np.float32), (60, 1))[..., None], 3, 2)
    stripes = np.tile(np.arange(160) // 2, (60, 1))
    evidence, _ = image_evidence(ramp)
    group = one_colour(region_statistics(stripes, evidence))
    lightness = evidence.channels[0, ::2, 0]
    assert group.max() > 20
    assert all(np.ptp(lightness[group == k]) < 1.5 for k in range(group.max() + 1))
