from __future__ import annotations

import numpy as np

from pixelcluster.baselines.per_image.slic import SlicMerge
from pixelcluster.metrics.regions import score_regions


def test_planted_bands_are_found_after_merging(planted):
    image, truth = planted
    label_map = SlicMerge(n_segments=36).fit([]).predict(image)
    assert label_map.dtype == np.int32
    assert label_map.shape == truth.shape
    assert score_regions(label_map, [truth]).covering > 0.9


def test_the_threshold_is_in_eight_bit_colours(planted):
    image, _ = planted
    regions = [
        len(np.unique(SlicMerge(n_segments=36, threshold=threshold).predict(image)))
        for threshold in (0, 29, 1000)
    ]
    assert regions[0] > 10
    assert regions[1:] == [3, 1]
