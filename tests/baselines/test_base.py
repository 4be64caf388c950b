from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.baselines.per_image.felzenszwalb import Felzenszwalb
from pixelcluster.baselines.per_image.kmeans import LabKMeans
from pixelcluster.baselines.per_image.slic import SlicMerge
from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans
from pixelcluster.baselines.per_pixel.sift import SiftKMeans


@pytest.mark.parametrize("kind", [PixelKMeans, SiftKMeans, LabKMeans, Felzenszwalb, SlicMerge])
def test_every_baseline_fits_and_predicts(kind, planted):
    image, _ = planted
    method = kind(3, seed=1, device="cpu", minutes=0.1)
    assert method.fit([image], [np.ones(image.shape[:2], bool)]) is method
    label_map = method.predict(image, np.ones(image.shape[:2], bool))
    assert label_map.shape == image.shape[:2]
    assert label_map.dtype == np.int32
    assert label_map.min() >= 0
