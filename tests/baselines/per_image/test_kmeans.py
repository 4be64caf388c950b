from __future__ import annotations

import numpy as np

from pixelcluster.baselines.per_image.kmeans import LabKMeans
from pixelcluster.metrics.matching import Confusion


def test_one_image_alone_in_lab(planted):
    image, truth = planted
    model = LabKMeans(3).fit([])
    label_map = model.predict(image)
    assert label_map.dtype == np.int32
    confusion = Confusion(3, 3)
    confusion.update(label_map, truth)
    assert confusion.acc == 1
    assert np.array_equal(model.predict(image), label_map)


def test_lab_survives_small_and_constant_images():
    assert LabKMeans(6).predict(np.zeros((1, 1, 3), np.float32)).shape == (1, 1)
    assert len(np.unique(LabKMeans(6).predict(np.zeros((1, 2, 3), np.float32)))) <= 2
    assert LabKMeans(6).predict(np.full((5, 7, 3), 0.5, np.float32)).shape == (5, 7)


def test_opencv_takes_every_seed(planted):
    assert LabKMeans(3, seed=2**32 - 1).predict(planted[0]).max() == 2
