from __future__ import annotations

import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.coco_stuff import CLASS_NAMES, COARSE, CocoStuff, class_table, follows_rule
from pixelcluster.errors import PixelClusterError

TREE, GRASS, SKY, DIRT, WATER, PERSON = 168, 123, 156, 110, 177, 0
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "cocostuff"


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(folder, stem, pixels, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{stem}{suffix}")


@pytest.fixture
def flat(tmp_path):
    """Three images: sky over tree, nothing but water, nothing but person; sizes below and above the crop."""
    halves = np.full((300, 420), SKY, dtype=np.uint8)
    halves[150:] = TREE
    water, person = np.full((430, 500), WATER, np.uint8), np.full((400, 400), PERSON, np.uint8)
    labels = {"a": halves, "b": water, "c": person}
    for seed, (stem, label) in enumerate(labels.items()):
        save(tmp_path / "images", stem, picture(*label.shape, seed))
        save(tmp_path / "labels", stem, label)
    return tmp_path


def test_every_fine_id_has_one_coarse_class():
    assert sorted(i for ids in COARSE.values() for i in ids) == list(range(182))
    assert [len(CLASS_NAMES[n]) for n in (3, 15, 27)] == [3, 15, 27]
    # Things are fine ids 0..90, stuff 91..181.
    stuff = class_table(15)
    assert (stuff[:91] == 255).all()
    assert set(stuff[91:182]) == set(range(15))
    assert (stuff[182:] == 255).all()


def test_spot_checks_of_the_tables():
    assert class_table(3)[[SKY, TREE, DIRT, WATER, PERSON, 255]].tolist() == [0, 1, 2, 255, 255, 255]
    assert class_table(15)[[101, SKY, WATER, PERSON]].tolist() == [0, 11, 14, 255]
    assert class_table(27)[[71, PERSON, 101, WATER]].tolist() == [0, 9, 12, 26]


def test_unlabelled_as_sky_is_a_choice_of_three_classes():
    assert class_table(3, unlabelled_as_sky=True)[255] == 0
    with pytest.raises(PixelClusterError, match="3 classes only"):
        class_table(15, unlabelled_as_sky=True)


def test_items_follow_the_protocol(flat):
    data = CocoStuff(flat, classes=3)
    assert data.stems == ("a",)
    item = data[0]
    assert item.image.shape == (128, 128, 3)
    assert item.image.dtype == np.float32
    assert item.label.dtype == np.uint8
    # 300 x 420 shrinks to 99 x 139: padded by 64 - 49 = 15 rows above, cropped by 69 - 64 = 5 columns.
    pixels = np.array(Image.open(flat / "images" / "a.png")).astype(np.float32)
    shrunk = cv2.resize(pixels, None, fx=0.33, fy=0.33, interpolation=cv2.INTER_LINEAR) / 255
    assert item.image[15:114] == pytest.approx(shrunk[:, 5:133], abs=1e-6)
    assert not item.image[:15].any()
    assert not item.image[114:].any()
    column = item.label[:, 64]
    assert (column[:15] == 255).all()
    assert (column[114:] == 255).all()
    # Fine row floor(i / .33) reaches 150 at i = 50.
    assert (column[15:65] == 0).all()
    assert (column[65:114] == 1).all()
    assert np.array_equal(item.mask, item.label != 255)


def test_coverage_is_of_the_crop(flat):
    assert CocoStuff(flat, classes=15).stems == ("a", "b")
    assert CocoStuff(flat, classes=15, min_coverage=0).stems == ("a", "b", "c")
    # Of a, 99 of 128 rows are scored.
    assert CocoStuff(flat, classes=15, min_coverage=99 / 128).stems == ("a", "b")
    assert CocoStuff(flat, classes=15, min_coverage=0.78).stems == ("b",)
    with pytest.raises(PixelClusterError, match="lower min_coverage"):
        CocoStuff(flat, image_list=write_list(flat, "c"))


def test_the_published_rule_is_of_the_whole_image(flat):
    # a is 300 px high; of b and c, one is all stuff and the other a person.
    assert CocoStuff(flat, classes=15, min_coverage=0, by_rule=True).stems == ("b",)
    allowed = class_table(3)
    label = np.full((360, 400), SKY, np.uint8)
    label[:, 300:] = PERSON
    assert follows_rule(label, allowed)
    label[0, 0] = 255
    assert not follows_rule(label, allowed)
    assert not follows_rule(label[:359, :300], allowed)
    with pytest.raises(PixelClusterError, match="drop the rule"):
        CocoStuff(flat, classes=3, by_rule=True)


def test_padding_is_never_scored_even_where_unlabelled_is_sky(flat):
    save(flat / "labels", "a", np.full((300, 420), 255, np.uint8))
    item = CocoStuff(flat, unlabelled_as_sky=True)[0]
    assert (item.label[15:114] == 0).all()
    assert (item.label[:15] == 255).all()


def write_list(folder, *stems):
    path = folder / "list.txt.gz"
    path.write_bytes(gzip.compress("\n".join(stems).encode()))
    return path


@pytest.mark.parametrize("images", ["", "images"])
@pytest.mark.parametrize("labels", ["stuffthingmaps", "stuffthingmaps_trainval2017", "annotations"])
def test_the_official_layout_joins_both_splits(tmp_path, images, labels):
    for split, stem in (("train2017", "000000000009"), ("val2017", "000000000139")):
        save(tmp_path / images / split, stem, picture(400, 400), ".jpg")
        save(tmp_path / labels / split, stem, np.full((400, 400), SKY, np.uint8))
    assert CocoStuff(tmp_path).stems == ("000000000009", "000000000139")
    assert CocoStuff(tmp_path, image_list=write_list(tmp_path, "000000000139")).stems == ("000000000139",)


def test_one_split_is_enough(tmp_path):
    save(tmp_path / "val2017", "x", picture(400, 400), ".jpg")
    save(tmp_path / "stuffthingmaps" / "val2017", "x", np.full((400, 400), SKY, np.uint8))
    assert len(CocoStuff(tmp_path)) == 1


def test_a_split_without_labels_is_refused(tmp_path):
    save(tmp_path / "val2017", "x", picture(8, 8), ".jpg")
    with pytest.raises(PixelClusterError, match="no label folder for val2017"):
        CocoStuff(tmp_path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(PixelClusterError, match="not a COCO-Stuff folder"):
        CocoStuff(tmp_path)


def test_missing_labels_are_named(flat):
    (flat / "labels" / "b.png").unlink()
    with pytest.raises(PixelClusterError, match="1 of 3 images have no label PNG, first b"):
        CocoStuff(flat)
    assert CocoStuff(flat, image_list=write_list(flat, "a")).stems == ("a",)


def test_listed_images_must_exist(flat):
    with pytest.raises(PixelClusterError, match="1 of 2 listed images are missing, first z"):
        CocoStuff(flat, image_list=write_list(flat, "a", "z"))


def test_ids_out_of_range_are_refused(flat):
    save(flat / "labels", "b", np.full((430, 500), 182, np.uint8))
    with pytest.raises(PixelClusterError, match=r"b\.png: label id 182"):
        CocoStuff(flat)


def test_sizes_must_agree(flat):
    save(flat / "labels", "a", np.full((420, 300), SKY, np.uint8))
    with pytest.raises(PixelClusterError, match=r"a\.png: label is 300 x 420 px, its image 420 x 300"):
        CocoStuff(flat)[0]


@pytest.mark.parametrize("options", [{"classes": 27}, {"min_coverage": 1.5}])
def test_bad_settings_are_refused(flat, options):
    with pytest.raises(PixelClusterError, match="got"):
        CocoStuff(flat, **options)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real COCO-Stuff images are not beside the project")
@pytest.mark.parametrize("classes", [3, 15, 27])
def test_the_mapping_agrees_with_derived_labels_of_real_images(classes):
    table = class_table(classes)
    for path in sorted((SHARED / "labels").glob("*.png"))[:40]:
        derived = np.array(Image.open(SHARED / f"labels{classes}" / path.name))
        assert np.array_equal(table[np.array(Image.open(path))], derived)
