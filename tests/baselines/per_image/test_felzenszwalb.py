from __future__ import annotations

import numpy as np

from pixelcluster.baselines.per_image.felzenszwalb import Felzenszwalb
from pixelcluster.metrics.regions import score_regions


def test_planted_bands_are_found(planted):
    image, truth = planted
    label_map = Felzenszwalb(sigma=0, min_size=50).fit([]).predict(image)
    assert label_map.shape == truth.shape
    assert label_map.dtype == np.int32
    assert score_regions(label_map, [truth]).covering == 1


def test_no_region_is_below_the_smallest_size(planted):
    label_map = Felzenszwalb(scale=1, sigma=0, min_size=40).predict(planted[0])
    assert np.bincount(label_map.ravel()).min() >= 40
