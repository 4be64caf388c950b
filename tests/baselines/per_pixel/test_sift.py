from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.baselines.per_pixel.sift import SiftKMeans, dense_sift
from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion
from tests.synthetic import textures


def test_planted_textures_are_found():
    images, labels = textures(4)
    method = SiftKMeans(3, seed=0).fit(images)
    confusion = Confusion(3, 3)
    for image, label in zip(images, labels, strict=True):
        confusion.update(method.predict(image), label)
    assert confusion.acc > 0.75


def test_masked_keypoints_are_not_fitted():
    images, labels = textures(3)
    masks = [label != 2 for label in labels]
    masked, whole = (SiftKMeans(1).fit(images, own).model_.cluster_centers_[0] for own in (masks, None))
    places = np.arange(2, 96, 4)
    rows = [
        dense_sift(image)[mask[np.ix_(places, places)]] for image, mask in zip(images, masks, strict=True)
    ]
    assert masked == pytest.approx(np.concatenate(rows).mean(axis=0), abs=1e-5)
    assert np.abs(masked - whole).max() > 0.01


def test_the_seed_decides_what_is_drawn():
    images, _ = textures(2)
    centres = [
        SiftKMeans(3, seed=s, max_descriptors=200).fit(images).model_.cluster_centers_ for s in (0, 0, 1)
    ]
    assert np.array_equal(centres[0], centres[1])
    assert not np.array_equal(centres[0], centres[2])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 18), (64, 7), (33, 34)])
def test_any_size_is_taken(height, width):
    image = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
    grid = dense_sift(image)
    assert grid.shape == (-(-height // 4), -(-width // 4), 256)
    assert np.isfinite(grid).all()
    assert SiftKMeans(1).fit([image]).predict(image).shape == (height, width)


def test_a_descriptor_tells_directions_apart_but_not_brightness():
    columns = np.tile(np.sin(np.arange(64) * np.pi / 4), (64, 1)).astype(np.float32)
    upright, lying = (np.repeat(0.4 + 0.2 * wave[..., None], 3, axis=2) for wave in (columns, columns.T))
    here = [dense_sift(image)[8, 8] for image in (upright, upright + 0.2, lying)]
    assert np.abs(here[0] - here[1]).max() < 0.05
    assert np.abs(here[0] - here[2]).max() > 0.1


def test_only_colour_is_looked_at():
    colours = [np.random.default_rng(0).random((32, 40, 3)).astype(np.float32)]
    aerial = [np.concatenate([colours[0], 1 - colours[0][..., :1]], axis=2)]
    one, two = (SiftKMeans(2).fit(own).predict(own[0]) for own in (colours, aerial))
    assert np.array_equal(one, two)


def test_too_few_keypoints_are_refused():
    with pytest.raises(PixelClusterError, match="1 usable pixels for 3 clusters"):
        SiftKMeans(3).fit([np.zeros((4, 4, 3), np.float32)])
