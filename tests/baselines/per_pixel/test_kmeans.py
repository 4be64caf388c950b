from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans
from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion


def agreement(label_map, truth, n_clusters=3):
    confusion = Confusion(n_clusters, int(truth.max()) + 1)
    confusion.update(label_map, truth)
    return confusion.acc


def test_planted_colours_are_found_and_ids_hold_across_images(planted):
    image, truth = planted
    turned = np.ascontiguousarray(image[:, ::-1])
    model = PixelKMeans(3, seed=1).fit([image, turned])
    label_map = model.predict(image)
    assert label_map.dtype == np.int32
    assert agreement(label_map, truth) == 1
    assert np.array_equal(model.predict(turned), label_map[:, ::-1])


def test_masked_pixels_do_not_enter_the_fit(planted):
    image, truth = planted
    outlier = image.copy()
    outlier[truth == 2] = 1.0
    seen = PixelKMeans(3).fit([outlier]).model_.cluster_centers_
    masked = PixelKMeans(2).fit([outlier], [truth != 2]).model_.cluster_centers_
    assert seen.min(axis=1).max() == pytest.approx(1, abs=1e-3)
    assert masked.min(axis=1).max() < 0.2


def test_a_share_of_the_pixels_is_drawn_from_every_image(planted):
    image, truth = planted
    bands = [image[:, 20 * i : 20 * (i + 1)] for i in range(3)]
    model = PixelKMeans(3, max_pixels=30).fit(bands)
    assert agreement(model.predict(image), truth) == 1


def test_the_same_seed_gives_the_same_clusters():
    noise = np.random.default_rng(0).random((40, 40, 3)).astype(np.float32)
    centres = [PixelKMeans(5, seed=2, max_pixels=500).fit([noise]).model_.cluster_centers_ for _ in range(2)]
    assert np.array_equal(*centres)
    other = PixelKMeans(5, seed=3, max_pixels=500).fit([noise]).model_.cluster_centers_
    assert not np.array_equal(centres[0], other)


def test_too_few_pixels_are_refused():
    with pytest.raises(PixelClusterError, match="2 usable pixels for 3 clusters"):
        PixelKMeans(3).fit([np.zeros((1, 2, 3), np.float32)])
    with pytest.raises(PixelClusterError, match="no usable pixel"):
        PixelKMeans(3).fit([])


def test_infrared_counts_where_there_is_one(found, aerial):
    images, labels = aerial
    assert found(PixelKMeans(2).fit(images), images, labels) == 1
    masked = PixelKMeans(2).fit(images, [label < 2 for label in labels])
    assert masked.model_.cluster_centers_.shape == (2, 4)
    colours = [image[..., :3] for image in images]
    model = PixelKMeans(2).fit(colours)
    assert found(model, colours, labels) < 0.55
    with pytest.raises(PixelClusterError, match="images have 4 channels, wanted 3"):
        model.predict(images[0])
    with pytest.raises(PixelClusterError, match="images have 3 and 4 channels, wanted 3 or 4"):
        model.fit([images[0], colours[0]])
