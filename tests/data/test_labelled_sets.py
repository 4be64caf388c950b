from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.labelled_sets import NAMES, describe_labelled_set, load_labelled_set
from pixelcluster.errors import PixelClusterError


@pytest.fixture
def folder(tmp_path):
    """One image: a quarter of class 0, half of class 1, the rest not scored."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    label = np.zeros((40, 300), np.uint8)
    label[:, 75:], label[:, 225:] = 1, 255
    Image.fromarray(np.zeros((40, 300, 3), np.uint8)).save(tmp_path / "images/a.jpg")
    Image.fromarray(label).save(tmp_path / "labels/a.png")
    return tmp_path


def test_a_check_says_what_is_there(folder):
    lines = describe_labelled_set(load_labelled_set("folder", folder))
    assert lines[0] == "1 images, at most 256 px"
    assert "1 of 256 x 34 px, 3 channels" in lines
    assert "75.0% of the pixels are scored; of these" in lines
    assert lines[-2:] == ["   33.3%  0", "   66.7%  1"]


@pytest.mark.parametrize(("name", "classes"), [("facades-4", 4), ("facades-12", 12)])
def test_names_say_the_number_of_classes(folder, name, classes):
    assert len(load_labelled_set(name, folder).class_names) == classes


def test_every_set_of_the_benchmarks_has_a_name():
    assert {"coco-stuff-3", "coco-stuff-15", "potsdam-3", "potsdam-6", "facades-4", "folder"} <= set(NAMES)
    with pytest.raises(PixelClusterError, match="wanted one of coco-stuff-3"):
        load_labelled_set("cityscapes", ".")
