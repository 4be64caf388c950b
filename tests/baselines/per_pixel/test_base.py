from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.baselines.per_pixel.base import usable_images
from pixelcluster.baselines.per_pixel.iic import Iic
from pixelcluster.baselines.per_pixel.infoseg import InfoSeg
from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans
from pixelcluster.baselines.per_pixel.sift import SiftKMeans
from pixelcluster.errors import PixelClusterError

KINDS = pytest.mark.parametrize("kind", [PixelKMeans, SiftKMeans, Iic, InfoSeg])


def test_images_are_learned_from_as_they_are(planted):
    """Nothing is painted over: a network must see in training what it sees when it predicts."""
    image, truth = planted
    ((kept, mask),) = usable_images([image], [truth == 1])
    assert kept is image
    assert np.array_equal(mask, truth == 1)


def test_images_without_a_used_pixel_are_left_out(planted):
    image, _ = planted
    none = np.zeros(image.shape[:2], bool)
    assert len(usable_images([image, image], [none, ~none])) == 1
    with pytest.raises(PixelClusterError, match="no usable pixel"):
        usable_images([image], [none])


def test_masks_must_fit_the_images(planted):
    image = planted[0]
    with pytest.raises(PixelClusterError, match="0 masks for 1 images"):
        usable_images([image], [])
    with pytest.raises(PixelClusterError, match=r"a mask is \(60, 9\) for an image of \(60, 60\)"):
        usable_images([image], [np.ones((60, 9), bool)])
    model = PixelKMeans(3).fit([image])
    with pytest.raises(PixelClusterError, match=r"a mask is \(9, 60\)"):
        model.predict(image, np.ones((9, 60), bool))


@KINDS
def test_what_no_method_can_take_is_refused_in_a_line(kind, planted):
    image = planted[0]
    for n_clusters in (0, 2.5, True, "auto"):
        with pytest.raises(PixelClusterError, match=r"n_clusters is .*; wanted a whole number from 1 up$"):
            kind(n_clusters, device="cpu")
    with pytest.raises(PixelClusterError, match=r"an image has shape \(60, 60\), wanted \(H, W, 3\)"):
        kind(3, device="cpu").fit([image[..., 0]])
    with pytest.raises(PixelClusterError, match="not fitted"):
        kind(3, device="cpu").predict(image)
