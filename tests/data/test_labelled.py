from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.folder import limit_side
from pixelcluster.data.labelled import (
    UNKNOWN,
    LabelledImage,
    flat_pairs,
    limit_item,
    read_ids,
    resize_item,
    same_size,
)
from pixelcluster.errors import PixelClusterError


def item(height, width, channels=3):
    rng = np.random.default_rng(0)
    image = rng.random((height, width, channels), dtype=np.float32)
    label = rng.integers(0, 4, (height, width)).astype(np.uint8)
    return LabelledImage("a", image, label, label > 0)


def test_rgb_leaves_further_channels_out():
    own = item(4, 5, channels=4)
    assert np.array_equal(own.rgb, own.image[..., :3])
    assert own.rgb.flags.c_contiguous


@pytest.mark.parametrize(("height", "width"), [(333, 500), (500, 20), (97, 97)])
def test_items_are_shrunk_to_the_size_the_estimator_shrinks_images_to(height, width):
    own, small = item(height, width), limit_item(item(height, width), 64)
    assert np.array_equal(small.image, limit_side(own.image, 64))
    assert small.label.shape == small.mask.shape == small.image.shape[:2]
    assert np.array_equal(small.mask, small.label > 0)
    assert limit_item(small, 64) is small


def test_labels_are_resized_by_the_nearest_and_channels_kept():
    own = item(40, 60, channels=4)
    small = resize_item(own, 20, 20)
    assert small.image.shape == (20, 20, 4)
    assert np.array_equal(small.label, own.label[::2, ::3])
    assert small.label.dtype == np.uint8
    assert small.mask.dtype == bool


def test_ids_are_translated_and_strangers_refused(tmp_path):
    ids = np.array([[0, 7, 255]], np.uint8)
    Image.fromarray(ids).save(tmp_path / "a.png")
    table = np.full(256, UNKNOWN, np.uint8)
    table[[0, 7, 255]] = 1, 0, 255
    assert read_ids(tmp_path / "a.png", table, "0, 7").tolist() == [[1, 0, 255]]
    table[7] = UNKNOWN
    with pytest.raises(PixelClusterError, match=r"a\.png: label id 7 found, ids are 0 and 255"):
        read_ids(tmp_path / "a.png", table, "0 and 255")


def test_pairs_need_both_folders_and_sizes_agree(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(PixelClusterError, match="labels: no such folder"):
        flat_pairs(tmp_path, None)
    with pytest.raises(PixelClusterError, match="label is 3 x 2 px, its image 2 x 3"):
        same_size(np.zeros((3, 2, 3)), np.zeros((2, 3), np.uint8), tmp_path)
