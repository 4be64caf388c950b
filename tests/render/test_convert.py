from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.cli.main import cli
from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_map import encode_label_map
from pixelcluster.io.read import list_images
from pixelcluster.render.convert import convert
from pixelcluster.render.palette import categorical
from pixelcluster.render.palette_file import read_palette
from tests.disks import contents, fill_up

LIMIT = {"max_pixels": 10**6}


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Path, np.ndarray]:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    labels = np.random.default_rng(0).integers(0, 3, (13, 17), dtype=np.int32)
    encode_label_map(folder / "a_labels.png", labels, categorical(3), "png", names=("sky", "", "x"))
    encode_label_map(folder / "sub" / "b_labels.npz", labels + 297, categorical(300), "npz")
    return folder, labels


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools, of numpy 2
def test_coco_is_read_back_by_pycocotools(maps, tmp_path: Path, capsys) -> None:
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    folder, labels = maps
    (written,), failures = convert([folder], tmp_path / "out", "coco", **LIMIT)
    assert failures == []
    coco = COCO(str(written))
    assert coco.loadCats([0, 1])[0]["name"] == "sky"
    assert coco.loadCats([1])[0]["name"] == "cluster 1"
    assert [coco.imgs[i]["file_name"] for i in sorted(coco.imgs)] == ["a_labels.png", "sub/b_labels.npz"]
    for number, first in ((1, 0), (2, 297)):
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=number)):
            mask = labels + first == annotation["category_id"]
            np.testing.assert_array_equal(coco.annToMask(annotation), mask)
            assert annotation["area"] == mask.sum()
            x, _, width, height = annotation["bbox"]
            assert (x, x + width) == (mask.any(0).argmax(), 17 - mask.any(0)[::-1].argmax())
            assert height <= 13


def test_coco_wants_one_name_an_id(maps, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    folder, labels = maps
    encode_label_map(folder / "c_labels.png", labels, categorical(3), "png", names=("", "road", "x"))
    (written,), _ = convert([folder], tmp_path / "out", "coco", **LIMIT)  # names of one map serve all
    categories = json.loads(written.read_text())["categories"]
    assert [entry["name"] for entry in categories[:3]] == ["sky", "road", "x"]
    encode_label_map(folder / "d_labels.png", labels, categorical(3), "png", names=("street", "", ""))
    with pytest.raises(PixelClusterError) as caught:
        convert([folder], tmp_path / "none", "coco", **LIMIT)
    assert str(caught.value) == (
        "d_labels.png: calls cluster 0 'street', a_labels.png calls it 'sky', and COCO has one name an id; "
        "export them apart, each with its own -o"
    )
    assert not (tmp_path / "none").exists()


def test_coco_holds_a_map_reached_twice_once(maps, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    folder, _ = maps
    (written,), _ = convert([folder, folder / "a_labels.png"], tmp_path / "out", "coco", **LIMIT)
    assert len(json.loads(written.read_text())["images"]) == 2


def test_a_full_disk_leaves_the_old_masks(maps, tmp_path: Path, monkeypatch) -> None:
    folder, labels = maps
    one = [folder / "a_labels.png"]
    written, _ = convert(one, tmp_path / "out", "masks", **LIMIT)
    before = contents(written)
    encode_label_map(one[0], 2 - labels, categorical(3), "png", names=("sky", "", "x"))
    fill_up(monkeypatch, 2)
    _, (failure,) = convert(one, tmp_path / "out", "masks", overwrite=True, **LIMIT)
    assert "No space left" in failure
    assert contents(written) == before


def test_masks_are_one_file_a_cluster(maps, tmp_path: Path) -> None:
    folder, labels = maps
    written, _ = convert([folder / "a_labels.png"], tmp_path / "out", "masks", **LIMIT)
    assert [path.name for path in written] == [f"a_cluster{end}.png" for end in ("0-sky", "1", "2-x")]
    for i, path in enumerate(written):
        with Image.open(path) as image:
            assert image.mode == "1"
            np.testing.assert_array_equal(np.asarray(image), labels == i)
    with pytest.raises(PixelClusterError, match="no image"):  # they are ours, not photographs
        list_images([tmp_path / "out"])


def test_names_of_masks_hold_safe_characters(tmp_path: Path) -> None:
    names = ("../bin: a*?", "Straße 7", "y" * 60, "...")
    encode_label_map(tmp_path / "m.png", np.arange(4)[None], categorical(4), "png", names=names)
    written, _ = convert([tmp_path / "m.png"], tmp_path / "out", "masks", **LIMIT)
    assert [path.name for path in written] == [
        "m_cluster0-bin-a.png", "m_cluster1-Straße-7.png", f"m_cluster2-{'y' * 24}.png", "m_cluster3.png"
    ]  # fmt: skip


def test_sixteen_bits_hold_any_map_plainly(maps, tmp_path: Path) -> None:
    import cv2

    folder, labels = maps
    written, _ = convert([folder], tmp_path / "out", "png16", **LIMIT)
    for path, first in zip(written, (0, 297), strict=True):
        read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, labels + first)
    np.savez(tmp_path / "big.npz", label_map=np.array([[70_000]]))
    _, (failure,) = convert([tmp_path / "big.npz"], tmp_path / "out", "png16", **LIMIT)
    assert "70000" in failure


def test_a_palette_comes_back(maps, tmp_path: Path) -> None:
    folder, _ = maps
    (written,), _ = convert([folder / "a_labels.png"], tmp_path / "out", "palette", palette="grey", **LIMIT)
    assert written.name == "a_palette.gpl"
    assert read_palette(written).tolist() == [[0] * 3, [128] * 3, [255] * 3]
    assert "sky" in written.read_text()


def test_bad_inputs_are_told_and_the_rest_is_done(maps, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    folder, _ = maps
    Image.new("RGB", (5, 5)).save(tmp_path / "photo.png")
    (tmp_path / "cut.npz").write_bytes((folder / "sub" / "b_labels.npz").read_bytes()[:70])
    for to in ("coco", "masks"):
        out = tmp_path / to
        written, failures = convert(
            [tmp_path / "photo.png", tmp_path / "cut.npz", folder / "a_labels.png"], out, to, **LIMIT
        )
        assert len(failures) == 2
        assert written
        assert sorted(out.iterdir()) == sorted(written)
    written, failures = convert([tmp_path / "photo.png"], tmp_path / "none", "coco", **LIMIT)
    assert (written, len(failures)) == ([], 1)
    assert not (tmp_path / "none").exists()
    with pytest.raises(PixelClusterError, match="--overwrite"):
        convert([folder], tmp_path / "coco", "coco", **LIMIT)


def test_pycocotools_missing_is_said(maps, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(PixelClusterError, match=r"pixelcluster\[coco\]"):
        convert([maps[0]], tmp_path / "out", "coco", **LIMIT)


def test_the_command(maps, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    folder, _ = maps
    out = tmp_path / "out"
    result = CliRunner().invoke(cli, ["export", str(folder), "-o", str(out), "--format", "coco"])
    assert result.exit_code == 0, result.output
    assert len(json.loads((out / "coco.json").read_text())["images"]) == 2
    result = CliRunner().invoke(
        cli, ["export", str(folder), "-o", str(out), "--format", "masks", "--palette", "grey"]
    )
    assert result.exit_code == 1
    assert "--palette" in result.stderr
