from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.data.image_sets import NAMES, describe_image_set, load_image_set
from pixelcluster.errors import PixelClusterError


def test_digits_come_with_scikit_learn():
    data = load_image_set("digits", None)
    assert data.train.shape == (1437, 8, 8, 1)
    assert data.test.shape == (360, 8, 8, 1)
    assert (data.train.min(), data.train.max()) == (0, 255)
    assert data.train_labels[:4].tolist() == [0, 1, 2, 3]


def test_names_lead_to_the_readers(tmp_path):
    images, labels = np.zeros((2, 4, 4), np.uint8), np.array([0, 2])
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images, y_test=labels)
    for name, classes in (("mnist", 10), ("npz", 3)):
        data = load_image_set(name, tmp_path)
        assert (data.name, len(data.class_names)) == (name, classes)
    (tmp_path / "a.npz").rename(tmp_path / "a.zip")
    with pytest.raises(PixelClusterError, match="not one npz file"):
        load_image_set("npz", tmp_path)
    for name in ("svhn", "svhn-train", "stl10", "stl10-unlabelled"):
        with pytest.raises(PixelClusterError, match=r"no (extra|train)_"):
            load_image_set(name, tmp_path)


def test_a_check_says_what_is_there(tmp_path):
    images, labels = np.zeros((4, 4, 6), np.uint8), np.array([0, 1, 1, 1])
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images, y_test=labels)
    assert describe_image_set(load_image_set("npz", tmp_path)) == [
        "4 images to fit on, 4 to score, 6 x 4 px, 1 channel",
        "train: no labels",
        "test: 0 25.0%, 1 75.0%",
    ]


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("cifar", ".", "wanted one of mnist"),
        ("mnist", None, "no path given"),
        ("svhn", "nowhere", "no such"),
    ],
)
def test_unknown_names_and_missing_paths(name, path, words):
    with pytest.raises(PixelClusterError, match=words):
        load_image_set(name, path)
    assert {"mnist", "svhn", "stl10", "digits"} <= set(NAMES)
