from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.baselines.base import filled
from pixelcluster.baselines.per_image.felzenszwalb import Felzenszwalb
from pixelcluster.baselines.per_image.kmeans import LabKMeans
from pixelcluster.baselines.per_image.slic import SlicMerge
from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans
from pixelcluster.baselines.per_pixel.sift import SiftKMeans
from pixelcluster.errors import PixelClusterError


@pytest.mark.parametrize("kind", [PixelKMeans, SiftKMeans, LabKMeans, Felzenszwalb, SlicMerge])
def test_every_baseline_fits_and_predicts(kind, planted):
    image, _ = planted
    method = kind(3, seed=1, device="cpu", minutes=0.1)
    assert method.fit([image], [np.ones(image.shape[:2], bool)]) is method
    label_map = method.predict(image)
    assert label_map.shape == image.shape[:2]
    assert label_map.dtype == np.int32
    assert label_map.min() >= 0


def test_masked_pixels_get_the_mean_colour_of_the_others(planted):
    image, truth = planted
    mask = truth == 1
    ((result, kept),) = filled([image], [mask])
    assert np.array_equal(kept, mask)
    assert np.array_equal(result[mask], image[mask])
    assert np.allclose(result[~mask], image[mask].mean(axis=0), atol=1e-6)


def test_images_without_a_used_pixel_are_left_out(planted):
    image, _ = planted
    none = np.zeros(image.shape[:2], bool)
    assert len(filled([image, image], [none, ~none])) == 1
    with pytest.raises(PixelClusterError, match="no usable pixel"):
        filled([image], [none])


def test_as_many_masks_as_images_are_wanted(planted):
    with pytest.raises(PixelClusterError, match="0 masks for 1 images"):
        filled([planted[0]], [])
