from __future__ import annotations

import pytest
from sklearn.cluster import KMeans

from pixelcluster.baselines.image_level.kmeans import ImageKMeans
from pixelcluster.errors import PixelClusterError
from tests.baselines.image_level.planted import agreement, planted


def test_planted_clusters_are_found_on_new_images():
    images, _ = planted()
    unseen, labels = planted(seed=1)
    assert agreement(ImageKMeans(3).fit(images).predict(unseen), labels) == 1


def test_the_best_start_is_kept():
    images, _ = planted(80)
    method = ImageKMeans(7, seed=2).fit(images)
    points = images.reshape(len(images), -1) / 255
    inertias = [KMeans(7, n_init=1, random_state=6 + start).fit(points).inertia_ for start in range(3)]
    # In another order of the images the starts differ: the same scale is all that can be asked for.
    assert min(method.history_) < 1.05 * max(inertias)
    assert len(method.history_) == 3
    assert method._model.inertia_ == min(method.history_)


def test_every_seed_is_taken_or_refused():
    images, _ = planted(40)
    assert len(ImageKMeans(3, seed=2**32 - 1).fit(images).history_) == 3
    with pytest.raises(PixelClusterError, match="seed is -1"):
        ImageKMeans(3, seed=-1)
