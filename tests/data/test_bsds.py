from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.bsds import Bsds
from pixelcluster.errors import PixelClusterError


@pytest.fixture
def root(tmp_path):
    """Two images; the first has 11 annotators, so that _10 must follow _9."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for stem, annotators in (("12003", 11), ("8_b", 1)):
        Image.new("RGB", (6, 4), "red").save(tmp_path / "images" / f"{stem}.png")
        for k in range(annotators):
            Image.fromarray(np.full((4, 6), k, np.uint8)).save(tmp_path / "labels" / f"{stem}_{k}.png")
    return tmp_path


def test_items_hold_the_image_and_every_annotator_in_order(root):
    data = Bsds(root)
    assert data.stems == ("12003", "8_b")
    item = data[0]
    assert item.image.shape == (4, 6, 3)
    assert item.image[0, 0].tolist() == [1, 0, 0]
    assert [truth[0, 0] for truth in item.truths] == list(range(11))
    assert len(data[1].truths) == 1


def test_limit_and_list(root):
    (root / "list.txt").write_text("8_b\n12003\n", encoding="utf-8")
    assert Bsds(root, root / "list.txt").stems == ("8_b", "12003")
    assert Bsds(root, root / "list.txt", limit=1).stems == ("8_b",)


def test_missing_labels_are_named(root):
    (root / "labels" / "8_b_0.png").unlink()
    with pytest.raises(PixelClusterError, match="1 of 2 images have no 8_b_<k>"):
        Bsds(root)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(PixelClusterError, match="images: no such folder"):
        Bsds(tmp_path)


def test_sizes_must_agree(root):
    Image.new("L", (4, 6)).save(root / "labels" / "8_b_0.png")
    with pytest.raises(PixelClusterError, match=r"8_b_0\.png: label is 4 x 6 px"):
        Bsds(root)[1]
