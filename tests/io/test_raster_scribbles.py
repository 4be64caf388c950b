from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io import raster_scribbles
from pixelcluster.io.label_raster import create_label_raster
from pixelcluster.io.polygons import PolygonOptions, write_polygons
from pixelcluster.io.raster import open_raster
from pixelcluster.io.raster_scribbles import open_raster_scribbles
from pixelcluster.render.palette import categorical
from tests.rasters import planted, write_scene

rasterio = pytest.importorskip("rasterio")

PLACE = (500_000, 5_500_000)  # of the upper left corner, metres; pixels of 10 m


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_scene(tmp_path / "scene.tif", planted(60, 80))
    return tmp_path / "scene.tif"


def read(scene: Path, path: Path, *, names=None, **options) -> tuple[np.ndarray, tuple[str, ...]]:
    with open_raster(scene) as raster, open_raster_scribbles(path, raster, names=names, **options) as found:
        height, width = raster.shape
        whole = found.read(slice(0, height), slice(0, width))
        for rows, columns in ((slice(0, 17), slice(5, 33)), (slice(13, 60), slice(33, 80))):
            np.testing.assert_array_equal(found.read(rows, columns), whole[rows, columns])
        return whole, found.names


def refuses(scene: Path, path: Path, *words: str, **options) -> None:
    with pytest.raises(PixelClusterError) as caught:
        read(scene, path, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def document(path: Path, *shapes: tuple[object, str, object], **members: object) -> Path:
    features = [
        {"type": "Feature", "properties": {"class": label}, "geometry": {"type": kind, "coordinates": c}}
        for label, kind, c in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
    return path


def box(top: float, left: float, bottom: float, right: float) -> list[list[float]]:
    """A ring in metres around rows and columns."""
    x = [PLACE[0] + 10 * side for side in (left, right)]
    y = [PLACE[1] - 10 * side for side in (top, bottom)]
    return [[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]], [x[0], y[0]]]


def test_own_polygons_give_the_pixels_back(tmp_path: Path, scene: Path) -> None:
    labels = planted(60, 80, seed=3).astype(np.int32)
    with open_raster(scene) as raster:
        with create_label_raster(tmp_path / "l.tif", raster, categorical(4), [""] * 4) as writer:
            writer.write(0, 0, labels, np.ones(labels.shape, bool))
        path = tmp_path / "p.geojson"
        write_polygons(path, ".geojson", raster, tmp_path / "l.tif", ("", "", "", ""), PolygonOptions())
    marks, names = read(scene, path)
    np.testing.assert_array_equal(marks, labels)  # longitude and latitude, holes and all
    assert names == ()


def test_areas_lines_and_points_in_the_crs_of_the_raster(tmp_path: Path, scene: Path) -> None:
    middle = [PLACE[0] + 10 * 40.5, PLACE[1] - 10 * 50.5]
    path = document(
        tmp_path / "s.geojson",
        (2, "Polygon", [box(10, 20, 30, 50), box(15, 25, 20, 30)]),
        ("0", "LineString", [[PLACE[0] + 5, PLACE[1] - 15], [PLACE[0] + 145, PLACE[1] - 15]]),
        (5.0, "MultiPoint", [middle, [PLACE[0] + 1, PLACE[1] - 1]]),
        (3, "MultiPolygon", [[box(12, 22, 14, 24)], [box(58, 78, 90, 99)]]),
    )
    expected = np.full((60, 80), -1)
    expected[10:30, 20:50] = 2
    expected[15:20, 25:30] = -1
    expected[1, 0:15] = 0
    expected[50, 40] = expected[0, 0] = 5
    expected[12:14, 22:24] = expected[58:, 78:] = 3
    marks, _ = read(scene, path)
    np.testing.assert_array_equal(marks, expected)


def test_a_stated_crs(tmp_path: Path, scene: Path) -> None:
    from rasterio.warp import transform

    ring = np.array(box(10, 20, 30, 50))
    moved = np.stack(transform("EPSG:32633", "EPSG:3857", *ring.T), 1).tolist()
    for name in ("urn:ogc:def:crs:EPSG::3857", "EPSG:3857"):
        crs = {"type": "name", "properties": {"name": name}}
        path = document(tmp_path / "s.json", (1, "Polygon", [moved]), crs=crs)
        marks, _ = read(scene, path)
        assert (marks[10:30, 20:50] == 1).mean() > 0.95
        assert (marks == 1).sum() == pytest.approx(600, rel=0.05)
    path = document(tmp_path / "s.json", (1, "Polygon", [moved]), crs={"name": "http://example.com/my.crs"})
    refuses(scene, path, "crs", "EPSG")
    path = document(tmp_path / "s.json", (1, "Polygon", [moved]), crs={"name": "EPSG:999999"})
    refuses(scene, path, "EPSG:999999")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_crs_pixels_are_meant(tmp_path: Path) -> None:
    write_scene(tmp_path / "s.tif", planted(60, 80), crs=None, transform=None)
    path = document(tmp_path / "s.json", (1, "Polygon", [[[3, 5], [9, 5], [9, 7], [3, 7]]]))
    marks, _ = read(tmp_path / "s.tif", path)
    assert (np.argwhere(marks == 1).min(0).tolist(), (marks == 1).sum()) == ([5, 3], 12)


def test_names(tmp_path: Path, scene: Path) -> None:
    path = document(
        tmp_path / "s.json", ("road", "Polygon", [box(0, 0, 9, 9)]), (0, "Polygon", [box(20, 0, 29, 9)])
    )
    marks, names = read(scene, path)
    assert (marks[0, 0], marks[20, 0], names) == (1, 0, ("", "road"))
    marks, names = read(scene, path, names=("", "", "road"))
    assert (marks[0, 0], names) == (2, ("", "", "road"))
    refuses(scene, path, "road", names=("", "sky"))


def test_images_of_the_rasters_size(tmp_path: Path, scene: Path) -> None:
    ids = np.zeros((60, 80), np.uint16)
    ids[10:20, 30:40], ids[50] = 3, 1
    Image.fromarray(ids.astype(np.uint8)).save(tmp_path / "s.png")
    profile = {"driver": "GTiff", "height": 60, "width": 80, "count": 1, "dtype": "uint16"}
    with rasterio.open(scene) as source:
        profile |= {"crs": source.crs, "transform": source.transform, "nodata": 65535}
    with rasterio.open(tmp_path / "s.tif", "w", **profile) as dataset:
        dataset.write(np.where(np.arange(80) == 79, 65535, ids), 1)
    expected = np.where(ids > 0, ids.astype(np.int32), -1)
    np.testing.assert_array_equal(read(scene, tmp_path / "s.png")[0], expected)
    expected[:, 79] = -1
    np.testing.assert_array_equal(read(scene, tmp_path / "s.tif")[0], expected)
    refuses(scene, tmp_path / "s.tif", "cluster 3", "0 to 2", names=("a", "b", "c"))
    refuses(scene, tmp_path / "s.png", "megapixels", max_pixels=100)
    profile["transform"] = rasterio.Affine(10, 0, 0, 0, -10, 0)
    with rasterio.open(tmp_path / "far.tif", "w", **profile) as dataset:
        dataset.write(ids, 1)
    refuses(scene, tmp_path / "far.tif", "elsewhere")


def test_what_cannot_be_read(tmp_path: Path, scene: Path) -> None:
    Image.new("L", (80, 61), 1).save(tmp_path / "size.png")
    refuses(scene, tmp_path / "size.png", "80 x 61", "80 x 60")
    Image.new("L", (80, 60), 0).save(tmp_path / "none.png")
    refuses(scene, tmp_path / "none.png", "marks no pixel")
    write_scene(tmp_path / "colours.tif", planted(60, 80))
    refuses(scene, tmp_path / "colours.tif", "one band")
    write_scene(tmp_path / "small.tif", planted(60, 79))
    refuses(scene, tmp_path / "small.tif", "79 x 60")
    (tmp_path / "cut.tif").write_bytes(scene.read_bytes()[:900])
    refuses(scene, tmp_path / "cut.tif", "cut.tif")
    refuses(scene, tmp_path / "gone.tif", "no such file")
    path = tmp_path / "bad.json"
    for text in ("{", "[]", "{}", '{"type": "Feature", "geometry": null}', '{"shapes": []}',
                 '{"type": "FeatureCollection", "features": 3}'):  # fmt: skip
        path.write_text(text)
        refuses(scene, path, "bad.json")
    for kind, coordinates in (
        ("Polygon", []), ("Polygon", [[[0, 0], [1, 1]]]), ("Polygon", 5), ("LineString", [[0, 0]]),
        ("Point", []), ("Point", [1]), ("Point", ["a", "b"]), ("Circle", [0, 0]), ("Point", [1e300, 0]),
        ("LineString", [[0, 0], [float("nan"), 1]]), ("Point", [179, 89]),
        ("LineString", [[500_000, 5_500_000], [5e9, 5e9]]),
    ):  # fmt: skip
        refuses(scene, document(path, (1, kind, coordinates)), "bad.json")
    refuses(scene, document(path), "no geometry")
    refuses(scene, document(path, (256, "Polygon", [box(0, 0, 9, 9)])), "256", "255")


def test_only_windows_with_marks_are_held(tmp_path: Path, scene: Path, monkeypatch) -> None:
    monkeypatch.setattr(raster_scribbles, "_SIDE", 16)
    path = document(
        tmp_path / "s.json", (1, "Polygon", [box(20, 20, 22, 22)]), (2, "Polygon", [box(59, 79, 60, 80)])
    )
    with open_raster(scene) as raster, open_raster_scribbles(path, raster) as scribbles:
        found = [(rows.start, columns.start, marks.shape) for rows, columns, marks in scribbles.windows()]
    assert found == [(16, 16, (16, 16)), (48, 64, (12, 16))]
