from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.baselines.base import Baseline
from pixelcluster.baselines.felzenszwalb import Felzenszwalb
from pixelcluster.baselines.kmeans import LabKMeans, RgbKMeans
from pixelcluster.baselines.slic import SlicMerge


@pytest.mark.parametrize("make", [lambda: RgbKMeans(3), lambda: LabKMeans(3), Felzenszwalb, SlicMerge])
def test_every_baseline_fits_and_predicts(make, planted):
    image, _ = planted
    method: Baseline = make()
    assert method.fit([image], [np.ones(image.shape[:2], bool)]) is method
    label_map = method.predict(image)
    assert label_map.shape == image.shape[:2]
    assert label_map.min() >= 0
