from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pixelcluster.data.splits import ImageSet, as_channels_last
from pixelcluster.errors import PixelClusterError

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        {"train_labels": np.zeros(3, np.int64)},
        {"test_labels": np.full(2, 2, np.int64)},
        {"test": pixels(2, 5, 4, 1)},
        {"train": np.zeros((2, 4, 4, 1))},
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    labels = np.array([0, 1], np.int64)
    data = ImageSet("own", pixels(2, 4, 4, 1), labels, pixels(2, 4, 4, 1), labels, ("a", "b"))
    with pytest.raises(PixelClusterError, match="own"):
        replace(data, **change)


def test_grey_images_get_a_channel():
    images = pixels(2, 3, 4)
    images.flags.writeable = False
    result = as_channels_last(images, "own")
    assert result.shape == (2, 3, 4, 1)
    assert result.flags.writeable
    for wrong in (images / 2, pixels(2, 3), pixels(2, 3, 4, 5)):
        with pytest.raises(PixelClusterError, match="own: got"):
            as_channels_last(wrong, "own")
