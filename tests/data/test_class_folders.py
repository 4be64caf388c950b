from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.class_folders import read_class_folders
from pixelcluster.data.image_sets import load_image_set
from pixelcluster.errors import PixelClusterError


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def picture(seed, height=4):
    return np.random.default_rng(seed).integers(0, 256, (height, 6, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("train/cat/1.png", "train/dog/1.png", "train/dog/2.png", "test/dog/9.png")):
        save(tmp_path / name, picture(seed))
    return tmp_path


def test_folders_are_classes(folder):
    data = load_image_set("class-folders", folder)
    assert data.class_names == ("cat", "dog")
    assert data.train_labels.tolist() == [0, 1, 1]
    assert data.test_labels.tolist() == [1]
    assert np.array_equal(data.train, np.stack([picture(seed) for seed in range(3)]))
    assert np.array_equal(data.test[0], picture(3))


def test_what_is_missing_or_wrong_is_named(folder, tmp_path):
    save(folder / "test/bird/1.png", picture(0))
    with pytest.raises(PixelClusterError, match="test/bird has no folder of this name"):
        read_class_folders(folder)
    (folder / "test/bird/1.png").unlink()
    (folder / "test/bird").rmdir()
    save(folder / "train/dog/3.png", picture(0, height=5))
    with pytest.raises(PixelClusterError, match=r"3\.png: 6 x 5 px, the first image is 6 x 4"):
        read_class_folders(folder)
    with pytest.raises(PixelClusterError, match="train: no folders"):
        read_class_folders(tmp_path / "nowhere")
