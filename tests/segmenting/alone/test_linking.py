from __future__ import annotations

import numpy as np

from pixelcluster.segmenting.alone.evidence import image_evidence
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
    ramp = np.repeat(np.tile(np.linspace(0.2, 0.6, 400, dtype=np.float32), (90, 1))[..., None], 3, 2)
    evidence, _ = image_evidence(ramp)
    stripes = np.arange(evidence.shape[1])[None].repeat(evidence.shape[0], 0) // 3
    group = one_colour(stripes, evidence)
    lightness = evidence.channels[0, ::3, 0]
    assert group.max() > 20
    assert all(np.ptp(lightness[group == k]) < 1.5 for k in range(group.max() + 1))


def test_a_plain_ground_is_one_group_beside_edges_too() -> None:
    image = np.full((60, 90, 3), 0.9, np.float32)
    image[20:40, 30:60] = (0.2, 0.4, 0.8)
    labels = np.arange(90)[None].repeat(60, 0) // 30
    labels[20:40, 30:60] = 3
    labels[40:, 30:60] = 4  # the ground left, above, right and below of a thing
    assert one_colour(labels, image_evidence(image)[0]).tolist() == [0, 0, 0, 1, 0]


def test_what_a_plain_ground_surrounds_is_not_plain_for_it() -> None:
    image = np.full((60, 90, 3), 0.9, np.float32)
    image[5:55, 35:85] = np.random.default_rng(0).random((50, 50, 1))
    labels = np.arange(90)[None].repeat(60, 0) // 30
    assert one_colour(labels, image_evidence(image)[0]).tolist() == [0, 1, 2]
