from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.labelled_folder import LabelledFolder
from pixelcluster.errors import PixelClusterError


def save(root, stem, label):
    (root / "images").mkdir(exist_ok=True)
    (root / "labels").mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*label.shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "images" / f"{stem}.png")
    Image.fromarray(label.astype(np.uint8)).save(root / "labels" / f"{stem}.png")


@pytest.fixture
def folder(tmp_path):
    """Ids 0, 40 and 80, and a border that is not scored."""
    label = np.zeros((40, 60))
    label[:, 20:], label[:, 40:], label[0] = 40, 80, 255
    save(tmp_path, "a", label)
    save(tmp_path, "b", np.full((30, 20), 80))
    return tmp_path


def test_ids_of_the_files_become_classes(folder):
    data = LabelledFolder(folder)
    assert data.stems == ("a", "b")
    assert data.class_names == ("0", "40", "80")
    first, second = data[0], data[1]
    assert first.label[5, [0, 20, 59]].tolist() == [0, 1, 2]
    assert (first.label[0] == 255).all()
    assert np.array_equal(first.mask, first.label != 255)
    assert (second.label == 2).all()
    assert first.image.shape == (40, 60, 3)
    # Classes are those of the images in the list.
    (folder / "list.txt").write_text("b\n")
    assert LabelledFolder(folder, image_list=folder / "list.txt").class_names == ("80",)


def test_a_given_number_of_classes_is_kept(folder):
    save(folder, "a", np.full((8, 8), 1))
    save(folder, "b", np.full((8, 8), 3))
    assert LabelledFolder(folder, classes=5).class_names == ("0", "1", "2", "3", "4")
    assert LabelledFolder(folder, classes=5)[1].label.max() == 3
    with pytest.raises(PixelClusterError, match=r"b\.png: label id 3 found, ids are 0\.\.2 and 255"):
        LabelledFolder(folder, classes=3)[1]


def test_images_are_shrunk_and_never_enlarged(folder):
    data = LabelledFolder(folder, max_side=30)
    item, small = data[0], data[1]
    assert item.image.shape == (20, 30, 3)
    assert item.label.shape == item.mask.shape == (20, 30)
    pixels = np.array(Image.open(folder / "images/a.png")).astype(np.float64) / 255
    assert item.image == pytest.approx(pixels.reshape(20, 2, 30, 2, 3).mean((1, 3)), abs=1e-5)
    assert item.label[5].tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert np.array_equal(item.mask, item.label != 255)
    assert small.image.shape == (30, 20, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"classes": 0}, "got 0"), ({"classes": 255}, "got 255"), ({"max_side": 0}, "got 0")],
)
def test_bad_settings_are_refused(folder, options, words):
    with pytest.raises(PixelClusterError, match=words):
        LabelledFolder(folder, **options)


def test_missing_parts_are_named(folder, tmp_path):
    with pytest.raises(PixelClusterError, match="no such folder, wanted images/"):
        LabelledFolder(tmp_path / "nowhere")
    (folder / "labels/b.png").unlink()
    with pytest.raises(PixelClusterError, match="1 of 2 images have no label PNG, first b"):
        LabelledFolder(folder)
    save(folder, "b", np.full((8, 8), 255))
    (folder / "list.txt").write_text("b\n")
    with pytest.raises(PixelClusterError, match="0 label ids"):
        LabelledFolder(folder, image_list=folder / "list.txt")
