from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.facades import GROUPS, NAMES, Facades, class_table
from pixelcluster.errors import PixelClusterError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "facades"


def save(image, label, pixels, ids):
    """Write a photograph and an indexed label."""
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(image)
    indexed = Image.fromarray(ids).convert("P")
    indexed.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    indexed.putdata(ids.ravel().tolist())
    indexed.save(label)


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def official(tmp_path):
    """One image a part, 12 vertical stripes of CMP's ids 1..12 and a row of 0 (unlabelled)."""
    ids = (1 + np.arange(480) // 40).astype(np.uint8)[None].repeat(512, 0)
    ids[:2] = 0
    for part, stem in (("base", "cmp_b0001"), ("extended", "cmp_x0001")):
        folder = tmp_path / part
        save(folder / f"{stem}.jpg", folder / f"{stem}.png", picture(512, 480), ids)
        (folder / f"{stem}.xml").write_text("<annotation/>")
    return tmp_path


@pytest.fixture
def flat(tmp_path):
    ids = (np.arange(256) * 12 // 256).astype(np.uint8)[None].repeat(256, 0)
    save(tmp_path / "images/train_001.jpg", tmp_path / "labels/train_001.png", picture(256, 256), ids)
    return tmp_path


def test_the_papers_four_labels():
    table = class_table(4, first=0)
    assert table[:12].tolist() == [255, 0, 2, 1, 3, 3, 3, 2, 3, 3, 3, 255]
    assert list(GROUPS) == ["wall", "door", "window", "decoration"]
    assert class_table(4, first=1)[1:13].tolist() == table[:12].tolist()
    assert class_table(12, first=1)[:13].tolist() == [255, *range(12)]


def test_the_official_layout_joins_both_parts_at_256_px(official):
    data = Facades(official)
    assert data.stems == ("cmp_b0001", "cmp_x0001")
    assert data.class_names == NAMES
    assert data.notes == ("2 images; the published set has 606",)
    item = data[0]
    assert item.image.shape == (256, 256, 3)
    # Column j takes column floor(j * 480 / 256).
    assert item.label[128].tolist() == [int(j * 480 / 256) // 40 for j in range(256)]
    assert (item.label[0] == 255).all()
    assert np.array_equal(item.mask, item.label != 255)
    pixels = np.array(Image.open(official / "base/cmp_b0001.jpg")).astype(np.float64) / 255
    assert item.image.mean((0, 1)) == pytest.approx(pixels.mean((0, 1)), abs=1e-4)
    (official / "extended/cmp_x0001.jpg").unlink()
    assert Facades(official).stems == ("cmp_b0001",)


def test_the_256_px_layout(flat):
    data = Facades(flat, classes=4)
    item = data[0]
    assert data.class_names == tuple(GROUPS)
    assert item.image == pytest.approx(np.array(Image.open(flat / "images/train_001.jpg")) / 255, abs=1e-6)
    ids = np.arange(256) * 12 // 256
    assert np.array_equal(item.label[0], class_table(4, first=0)[ids])
    assert not item.mask[:, ids == NAMES.index("shop")].any()


def test_image_lists(official):
    (official / "list.txt").write_text("cmp_x0001\n")
    assert Facades(official, image_list=official / "list.txt").stems == ("cmp_x0001",)


def test_what_is_missing_or_wrong_is_named(flat, official, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PixelClusterError, match="not a CMP Facades folder, wanted base/"):
        Facades(tmp_path / "empty")
    with pytest.raises(PixelClusterError, match="4 or 12 classes, got 3"):
        Facades(flat, classes=3)
    ids = np.full((256, 256), 13, np.uint8)
    save(official / "base/cmp_b0001.jpg", official / "base/cmp_b0001.png", picture(256, 256), ids)
    with pytest.raises(PixelClusterError, match=r"cmp_b0001\.png: label id 13 found, ids are 1\.\.12"):
        Facades(official)[0]
    (official / "base/cmp_b0001.png").unlink()
    with pytest.raises(PixelClusterError, match="1 of 2 images have no label PNG, first cmp_b0001"):
        Facades(official)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the Facades images are not beside the project")
def test_real_facades_have_the_shares_their_readme_names():
    data = Facades(SHARED)
    counts = sum(np.bincount(data[i].label.ravel(), minlength=12) for i in range(0, len(data), 10))
    shares = counts / counts.sum()
    assert shares[NAMES.index("facade")] == pytest.approx(0.392, abs=0.05)
    assert shares[NAMES.index("window")] == pytest.approx(0.134, abs=0.03)
