from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelcluster.data.potsdam import COLOURS, GROUPS, LABELLED, NAMES, Potsdam, class_table, decode_colours
from pixelcluster.errors import PixelClusterError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "rs_samples" / "potsdam"
ROWS, COLUMNS = 440, 810  # halved 220 x 405: one patch high, two wide


def save(root, tile, kind, pixels, folder=""):
    target = root / folder / f"top_potsdam_{tile}_{kind}.tif"
    target.parent.mkdir(parents=True, exist_ok=True)
    # As the published files: a fourth sample without a meaning of its own.
    extra = {"extrasamples": ["unspecified"]} if pixels.shape[2] == 4 else {}
    tifffile.imwrite(target, pixels, photometric="rgb", **extra)
    return target


def picture(seed, channels=4):
    return np.random.default_rng(seed).integers(0, 256, (ROWS, COLUMNS, channels), dtype=np.uint8)


def stripes():
    """Return ids, one class a stripe of 135 columns, and their colours."""
    ids = (np.arange(COLUMNS) // 135)[None].repeat(ROWS, 0)
    return ids, np.array(COLOURS, np.uint8)[ids]


@pytest.fixture
def tiles(tmp_path):
    """Two labelled tiles, one of the labelled list without a label file, one outside the list with one."""
    for seed, tile in enumerate(("2_10", "2_11", "10_2", "2_13")):
        save(tmp_path, tile, "RGBIR", picture(seed), "4_Ortho_RGBIR")
        if tile != "2_11":
            save(tmp_path, tile, "label", stripes()[1], "5_Labels_all")
    return tmp_path


def test_the_protocol_scores_24_of_38_tiles():
    assert len(LABELLED) == len(set(LABELLED)) == 24
    assert {"2_10", "5_12", "6_7", "7_12"} <= set(LABELLED)
    assert not {"2_13", "2_14", "3_13", "4_13", "5_15", "6_13", "7_13"} & set(LABELLED)


def test_the_colour_code():
    assert decode_colours(np.array([COLOURS], np.uint8), class_table(6)).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert decode_colours(np.array([COLOURS], np.uint8), class_table(3)).tolist() == [[0, 1, 2, 2, 0, 1]]
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(NAMES)
    near = np.array([[(252, 255, 0), (0, 0, 0), (3, 0, 250)]], np.uint8)
    assert decode_colours(near, class_table(6)).tolist() == [[4, 255, 1]]
    with pytest.raises(PixelClusterError, match=r"colour \(255, 0, 255\) found"):
        decode_colours(np.array([[(255, 0, 255)]], np.uint8), class_table(6))
    with pytest.raises(PixelClusterError, match="3 or 6 classes, got 4"):
        class_table(4)


def test_patches_are_halved_and_cut_with_infrared(tiles):
    data = Potsdam(tiles)
    assert data.stems[:4] == ("2_10_r00_c00", "2_10_r00_c01", "2_11_r00_c00", "2_11_r00_c01")
    assert data.stems[-1] == "10_2_r00_c01"
    assert data.class_names == NAMES
    item = data[1]
    assert item.image.dtype == np.float32
    full = picture(0).astype(np.float64)
    means = full[:400].reshape(200, 2, COLUMNS // 2, 2, 4).mean((1, 3))[:, 200:400] / 255
    assert item.image == pytest.approx(means, abs=0.51 / 255)
    assert np.array_equal(item.rgb, item.image[..., :3])
    assert np.array_equal(item.label, stripes()[0][:400:2, 400:800:2])
    assert item.mask.all()


def test_unlabelled_tiles_are_there_to_learn_from(tiles):
    data = Potsdam(tiles, classes=3)
    scored = {stem.split("_r")[0]: (data[i].label != 255).any() for i, stem in enumerate(data.stems)}
    assert scored == {"2_10": True, "2_11": False, "2_13": False, "10_2": False}
    assert all(data[index].mask.all() for index in range(len(data)))
    assert "4 tiles, 1 of them labelled; the published set has 38, 24 labelled" in data.notes
    assert set(np.unique(data[0].label)) == {0, 1, 2}


def test_labels_with_eroded_borders_are_second_choice(tiles):
    save(tiles, "2_11", "label_noBoundary", np.zeros((ROWS, COLUMNS, 3), np.uint8), "5_Labels_all_noBoundary")
    save(tiles, "2_10", "label_noBoundary", np.zeros((ROWS, COLUMNS, 3), np.uint8), "5_Labels_all_noBoundary")
    data = Potsdam(tiles)
    assert (data[0].label != 255).all()
    assert (data[2].label == 255).all()
    assert data[2].mask.all()


def test_infrared_comes_from_the_other_mosaic(tmp_path):
    rgb, irrg = picture(1, 3), picture(2, 3)
    save(tmp_path, "2_10", "RGB", rgb, "2_Ortho_RGB")
    data = Potsdam(tmp_path)
    assert data[0].image.shape == (200, 200, 3)
    assert "images from RGB; the protocol's are RGBIR" in data.notes
    save(tmp_path, "2_10", "IRRG", irrg, "3_Ortho_IRRG")
    both = Potsdam(tmp_path)[0].image
    save(tmp_path / "other", "2_10", "RGBIR", np.concatenate([rgb, irrg[..., :1]], axis=2))
    assert np.array_equal(both, Potsdam(tmp_path / "other")[0].image)


def test_an_image_list_names_patches(tiles):
    (tiles / "list.txt").write_text("2_11_r00_c01\n2_10_r00_c00\n")
    assert Potsdam(tiles, image_list=tiles / "list.txt").stems == ("2_11_r00_c01", "2_10_r00_c00")
    (tiles / "list.txt").write_text("2_11_r00_c02\n")
    with pytest.raises(PixelClusterError, match="first 2_11_r00_c02"):
        Potsdam(tiles, image_list=tiles / "list.txt")


def test_what_is_missing_or_wrong_is_named(tiles, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PixelClusterError, match="no tiles of Potsdam, wanted 4_Ortho_RGBIR/top_potsdam_2_10"):
        Potsdam(tmp_path / "empty")
    save(tiles, "2_12", "RGB", picture(1, 3), "2_Ortho_RGB")
    with pytest.raises(PixelClusterError, match="1 of 5 tiles have no RGBIR image, first 4_Ortho_RGBIR/"):
        Potsdam(tiles)
    (tiles / "2_Ortho_RGB" / "top_potsdam_2_12_RGB.tif").unlink()
    save(tiles, "2_10", "label", stripes()[1][:-2], "5_Labels_all")
    with pytest.raises(PixelClusterError, match=r"label\.tif: label is 810 x 438 px, its image 810 x 440"):
        Potsdam(tiles)[0]
    save(tiles, "2_10", "RGBIR", picture(1, 3), "4_Ortho_RGBIR")
    with pytest.raises(PixelClusterError, match=r"RGBIR\.tif: got uint8 of shape .* 4 channels"):
        Potsdam(tiles)[0]
    (tiles / "4_Ortho_RGBIR" / "top_potsdam_2_10_RGBIR.tif").write_bytes(b"II*\0")
    with pytest.raises(PixelClusterError, match="cannot read the TIFF header"):
        Potsdam(tiles)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the Potsdam sample is not beside the project")
def test_the_code_on_a_real_sample(tmp_path):
    """Ids of the sample, painted in the code, come back, and the classes look as they are called."""
    ids = np.array(Image.open(SHARED / "labels" / "2_10_0_0_512_512.png"))
    rgb = np.array(Image.open(SHARED / "images" / "2_10_0_0_512_512.png"))
    save(tmp_path, "2_10", "RGB", rgb, "2_Ortho_RGB")
    palette = np.zeros((256, 3), np.uint8)
    palette[:6] = COLOURS
    save(tmp_path, "2_10", "label", palette[ids], "5_Labels_all")
    item = Potsdam(tmp_path)[0]
    assert np.array_equal(item.label, ids[:400:2, :400:2])
    green = item.image[..., 1] - item.image[..., 0]
    vegetation = np.isin(item.label, (NAMES.index("low vegetation"), NAMES.index("tree")))
    built = np.isin(item.label, (NAMES.index("road"), NAMES.index("building")))
    assert green[vegetation].mean() > green[built].mean()
