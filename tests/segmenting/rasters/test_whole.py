from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.raster import open_raster
from pixelcluster.io.raster_scribbles import open_raster_scribbles
from pixelcluster.segmenting.api import segment
from pixelcluster.segmenting.rasters.whole import is_picture, label_whole
from tests.rasters import planted, write_scene
from tests.segmenting.rasters.test_guided_scene import collect

rasterio = pytest.importorskip("rasterio")

TRUTH = planted(150, 200)
DIAGONAL = np.add.outer(np.arange(150), np.arange(200)) < 130


def label(path: Path, n_clusters: int | None, scribbles: Path | None = None) -> tuple[np.ndarray, tuple]:
    with open_raster(path) as raster:
        if scribbles is None:
            found = label_whole(raster, n_clusters)
        else:
            with open_raster_scribbles(scribbles, raster) as strokes:
                found = label_whole(raster, n_clusters, scribbles=strokes)
        return collect(raster.shape, found), found.names


@pytest.mark.parametrize("n_bands", [1, 3])
@pytest.mark.parametrize("n_clusters", [None, 3])
def test_the_same_labels_as_of_the_same_picture(tmp_path, n_bands, n_clusters) -> None:
    written = write_scene(tmp_path / "s.tif", TRUTH, n_bands)
    Image.fromarray(np.moveaxis(written, 0, -1).squeeze()).save(tmp_path / "s.png")
    labels, names = label(tmp_path / "s.tif", n_clusters)
    picture = segment(tmp_path / "s.png", n_clusters)
    np.testing.assert_array_equal(labels, picture.label_map)
    assert len(names) == picture.n_clusters


def test_the_same_labels_under_strokes(tmp_path) -> None:
    written = write_scene(tmp_path / "s.tif", TRUTH)
    Image.fromarray(np.moveaxis(written, 0, -1)).save(tmp_path / "s.png")
    ids = np.zeros(TRUTH.shape, np.uint8)
    ids[5:12, 20:60], ids[60:66, 20:60] = 1, 4
    Image.fromarray(ids).save(tmp_path / "ids.png")
    labels, names = label(tmp_path / "s.tif", 4, tmp_path / "ids.png")
    picture = segment(tmp_path / "s.png", 4, scribbles=tmp_path / "ids.png")
    np.testing.assert_array_equal(labels, picture.label_map)
    assert (labels[ids > 0] == ids[ids > 0]).all()
    assert names == ("",) * 5


@pytest.mark.parametrize("n_clusters", [None, 4])
def test_what_is_invalid_does_not_count(tmp_path, n_clusters) -> None:
    """A third colour, marked as nodata, over most of a scene of two."""
    truth = np.where(np.arange(200) < 100, 0, 3) * np.ones((150, 1), int)
    hole = np.zeros(truth.shape, bool)
    hole[40:, 30:170] = True
    write_scene(tmp_path / "s.tif", truth, nodata=0, fill=hole)
    labels, names = label(tmp_path / "s.tif", n_clusters)
    found = labels[~hole]
    assert len(names) == (n_clusters or 2)
    areas = np.bincount(found, minlength=len(names))
    assert areas.min() > 0  # no cluster of nodata alone
    assert (np.diff(areas) <= 0).all()
    if n_clusters is None:
        assert (found == found[0]).sum() == (truth[~hole] == 0).sum()


def test_a_hole_changes_little(tmp_path) -> None:
    write_scene(tmp_path / "whole.tif", TRUTH)
    write_scene(tmp_path / "hole.tif", TRUTH, nodata=0, fill=DIAGONAL)
    whole, holed = (label(tmp_path / f"{name}.tif", 4)[0][~DIAGONAL] for name in ("whole", "hole"))
    table = np.bincount(whole * 4 + holed, minlength=16).reshape(4, 4)
    assert table.max(1).sum() / table.sum() > 0.97


def test_data_in_a_corner_are_labelled_in_their_place(tmp_path) -> None:
    hole = np.ones(TRUTH.shape, bool)
    hole[20:80, 30:90] = False
    write_scene(tmp_path / "s.tif", TRUTH, nodata=0, fill=hole)
    written = write_scene(tmp_path / "part.tif", TRUTH)[:, 20:80, 30:90]
    labels, _ = label(tmp_path / "s.tif", 3)
    np.testing.assert_array_equal(labels[20:80, 30:90], segment(np.moveaxis(written, 0, -1), 3).label_map)


def test_what_cannot_be_labelled(tmp_path) -> None:
    write_scene(tmp_path / "s.tif", TRUTH, nodata=0, fill=DIAGONAL)
    Image.fromarray(DIAGONAL.astype(np.uint8)).save(tmp_path / "off.png")
    with pytest.raises(PixelClusterError, match="no data"):
        label(tmp_path / "s.tif", 3, tmp_path / "off.png")
    write_scene(tmp_path / "empty.tif", TRUTH, nodata=0, fill=TRUTH >= 0)
    with pytest.raises(PixelClusterError, match="no valid pixel"):
        label(tmp_path / "empty.tif", 3)


def test_fewer_colours_than_asked_warns(tmp_path) -> None:
    with rasterio.open(
        tmp_path / "flat.tif", "w", driver="GTiff", width=40, height=30, count=1, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(2, 0, 9, 0, -2, 9), nodata=255,
    ) as dataset:  # fmt: skip
        dataset.write(np.where(np.arange(40) < 9, 7, 200) * np.ones((30, 1), np.uint8), 1)
    with pytest.warns(PixelClusterWarning, match="asked for 5"):
        labels, names = label(tmp_path / "flat.tif", 5)
    assert (len(names), labels[0, 0], labels[0, 39]) == (2, 1, 0)


def test_what_is_a_picture(tmp_path) -> None:
    for n_bands, wanted in ((1, True), (2, False), (3, True), (5, False)):
        write_scene(tmp_path / "s.tif", TRUTH, n_bands)
        with open_raster(tmp_path / "s.tif") as raster:
            assert is_picture(raster, 30_000) is wanted
            assert not is_picture(raster, 29_999)
    with open_raster(tmp_path / "s.tif", bands=(4, 2, 1)) as raster:
        assert is_picture(raster, 30_000)
