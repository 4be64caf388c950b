from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_map import read_label_file
from pixelcluster.io.label_raster import BLOCK, create_label_raster
from pixelcluster.io.raster import open_raster
from pixelcluster.render.palette import categorical
from tests.rasters import planted, write_scene

rasterio = pytest.importorskip("rasterio")


@pytest.mark.parametrize(
    ("k", "dtype", "nodata"), [(4, "uint8", 255), (255, "uint8", 255), (256, "uint16", 65535)]
)
def test_what_a_gis_reads_back(tmp_path: Path, k: int, dtype: str, nodata: int) -> None:
    truth = planted(600, 700)
    write_scene(tmp_path / "s.tif", truth)
    valid = np.ones(truth.shape, bool)
    valid[:9] = False
    palette = categorical(k)
    names = ["sky", *[""] * (k - 1)]
    with (
        open_raster(tmp_path / "s.tif") as raster,
        create_label_raster(tmp_path / "l.tif", raster, palette, names) as writer,
    ):
        for top in range(0, 600, BLOCK):
            rows = slice(top, top + BLOCK)
            writer.write(top, 0, truth[rows].astype(np.int32), valid[rows])
    with rasterio.open(tmp_path / "l.tif") as labels, rasterio.open(tmp_path / "s.tif") as source:
        assert labels.dtypes == (dtype,)
        assert labels.nodata == nodata
        assert (labels.crs, labels.transform) == (source.crs, source.transform)
        assert labels.profile["tiled"]
        assert labels.compression.name == "deflate"
        np.testing.assert_array_equal(labels.read(1), np.where(valid, truth, nodata))
        np.testing.assert_array_equal(labels.dataset_mask() > 0, valid)
        assert labels.colormap(1)[1] == (*palette[1].tolist(), 255)
        classes = json.loads(labels.tags()["CLASSES"])
    assert [entry["id"] for entry in classes] == list(range(k))
    assert classes[0]["name"] == "sky"
    if dtype == "uint8":
        found = read_label_file(tmp_path / "l.tif")
        np.testing.assert_array_equal(found.ids, np.where(valid, truth, nodata))
        assert (found.nodata, found.names) == (nodata, tuple(names))
        with Image.open(tmp_path / "l.tif") as image:
            assert image.tag_v2[305] == "pixelcluster"


def test_too_many_clusters(tmp_path: Path) -> None:
    write_scene(tmp_path / "s.tif", planted(9, 9))
    palette = np.zeros((70_000, 3), np.uint8)
    with (
        open_raster(tmp_path / "s.tif") as raster,
        pytest.raises(PixelClusterError, match="65535"),
        create_label_raster(tmp_path / "l.tif", raster, palette, [""] * 70_000),
    ):
        pass
