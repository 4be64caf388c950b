from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_raster import create_label_raster
from pixelcluster.io.polygon_files import check_polygon_path
from pixelcluster.io.polygons import PolygonOptions, write_polygons
from pixelcluster.io.raster import open_raster
from pixelcluster.render.palette import categorical
from tests.rasters import write_scene

rasterio = pytest.importorskip("rasterio")
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),  # rasterio, of affine
]


def blocks() -> np.ndarray:
    """(40, 60): two large halves, a hole of class 2 in the left one, and one lonely pixel."""
    labels = np.zeros((40, 60), int)
    labels[:, 30:] = 1
    labels[10:20, 5:15] = 2
    labels[3, 50] = 3
    return labels


def export(
    tmp_path: Path,
    labels: np.ndarray,
    options: PolygonOptions | None = None,
    names=("", "", "", ""),
    **profile: Any,
) -> tuple[list[dict[str, Any]], np.ndarray]:
    written = write_scene(tmp_path / "s.tif", labels, **profile)
    valid = np.ones(labels.shape, bool)
    with open_raster(tmp_path / "s.tif") as raster:
        with create_label_raster(tmp_path / "l.tif", raster, categorical(4), names) as writer:
            writer.write(0, 0, labels.astype(np.int32), valid)
        out = tmp_path / "p.geojson"
        write_polygons(out, ".geojson", raster, tmp_path / "l.tif", names, options or PolygonOptions())
    return json.loads(out.read_text())["features"], written


def ring_area(ring: list[list[float]]) -> float:
    x, y = np.array(ring).T
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def test_area_and_means_of_every_region(tmp_path: Path) -> None:
    labels = blocks()
    features, written = export(tmp_path, labels, names=("field", "", "", "roof"))
    assert len(features) == 4
    for feature in features:
        properties = feature["properties"]
        mine = labels == properties["cluster"]
        assert properties["pixels"] == mine.sum()
        assert properties["area_m2"] == pytest.approx(100 * mine.sum())
        for band in range(3):
            assert properties[f"mean_{band + 1}"] == pytest.approx(written[band][mine].mean(), rel=1e-5)
    assert {f["properties"]["name"] for f in features} == {"field", "", "roof"}


def test_geojson_is_longitude_and_latitude_turning_left(tmp_path: Path) -> None:
    from rasterio.warp import transform

    features, _ = export(tmp_path, blocks())
    first = next(f for f in features if f["properties"]["cluster"] == 1)["geometry"]["coordinates"]
    (west,), (north,) = transform("EPSG:32633", "EPSG:4326", [500_000 + 300], [5_500_000])
    assert [pytest.approx(west, abs=1e-7), pytest.approx(north, abs=1e-7)] in first[0]
    assert ring_area(first[0]) > 0
    assert all(ring_area(hole) < 0 for hole in first[1:])
    assert len(first) == 2
    assert first[0][0] == first[0][-1]


def test_painting_the_polygons_gives_the_labels_back(tmp_path: Path) -> None:
    from rasterio.features import rasterize

    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (10, 12)).repeat(4, 0).repeat(5, 1)
    features, _ = export(
        tmp_path, labels, **{"crs": "EPSG:4326", "transform": rasterio.Affine(1e-4, 0, 7, 0, -1e-4, 50)}
    )
    painted = rasterize(
        [(f["geometry"], f["properties"]["cluster"]) for f in features],
        out_shape=labels.shape,
        transform=rasterio.Affine(1e-4, 0, 7, 0, -1e-4, 50),
        fill=9,
    )
    np.testing.assert_array_equal(painted, labels)


def test_area_in_degrees_is_that_of_the_ellipsoid(tmp_path: Path) -> None:
    """One degree by one degree at the equator and at 60 degrees; and all of them, the whole earth."""
    labels = np.zeros((2, 2), int)
    for top, wanted in ((0, 12_308_778_361), (60, 6_248_000_000)):
        place = rasterio.Affine(0.5, 0, 0, 0, -0.5, top + 1)
        (feature,), _ = export(tmp_path, labels, crs="EPSG:4326", transform=place)
        assert feature["properties"]["area_m2"] == pytest.approx(wanted, rel=3e-2 if top else 1e-3)
    earth = rasterio.Affine(180, 0, -180, 0, -90, 90)
    (feature,), _ = export(tmp_path, labels, crs="EPSG:4326", transform=earth)
    assert feature["properties"]["area_m2"] == pytest.approx(510_065_621_724_000, rel=1e-6)


def test_feet_become_metres(tmp_path: Path) -> None:
    (feature, *_), _ = export(tmp_path, np.zeros((4, 5), int), crs="EPSG:2263")
    assert feature["properties"]["area_m2"] == pytest.approx(20 * 100 * 0.3048006096**2, rel=1e-6)


def test_small_ones_are_left_out(tmp_path: Path) -> None:
    features, _ = export(tmp_path, blocks(), PolygonOptions(min_area=101))
    assert [f["properties"]["cluster"] for f in features] == [0, 1, 2]
    plain = {"crs": None, "transform": None, "nodata": 0}
    features, _ = export(tmp_path, blocks(), PolygonOptions(min_area=101), **plain)
    assert [f["properties"]["cluster"] for f in features] == [0, 1]  # pixels, without a CRS
    assert "area_m2" not in features[0]["properties"]
    assert [0.0, 0.0] in features[0]["geometry"]["coordinates"][0]


def test_simplified_outlines_have_fewer_corners_and_close(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:60, :60]
    labels = (rows > columns).astype(int)
    full, _ = export(tmp_path, labels)
    short, _ = export(tmp_path, labels, PolygonOptions(simplify=1.0))
    for before, after in zip(full, short, strict=True):
        ring = after["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
        assert 4 <= len(ring) < len(before["geometry"]["coordinates"][0]) / 5
        assert after["properties"] == before["properties"]  # of the region, not of the drawing


def test_more_polygons_than_fit_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("pixelcluster.io.polygons._ROWS", 3)
    labels = np.random.default_rng(0).integers(0, 4, (30, 40))
    features, _ = export(tmp_path, labels)
    monkeypatch.setattr("pixelcluster.io.polygons._MOST_REGIONS", len(features) // 2)
    with pytest.raises(PixelClusterError, match="million polygons"):
        export(tmp_path, labels)
    monkeypatch.setattr("pixelcluster.io.polygons._MOST_REGIONS", 1000)
    monkeypatch.setattr("pixelcluster.io.polygon_files._AT_ONCE", 7)
    assert export(tmp_path, labels)[0] == features


def test_regions_across_strips_are_one(tmp_path: Path, monkeypatch) -> None:
    whole, _ = export(tmp_path, blocks())
    monkeypatch.setattr("pixelcluster.io.polygons._ROWS", 7)
    monkeypatch.setattr("pixelcluster.io.polygons._COLUMNS", 11)
    parts, _ = export(tmp_path, blocks())
    assert parts == whole


def test_names_of_files(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(PixelClusterError, match=r"\.geojson"):
        check_polygon_path(tmp_path / "a.shp")
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(PixelClusterError, match="pyogrio"):
        check_polygon_path(tmp_path / "a.gpkg")


def test_geopackage_where_its_library_is(tmp_path: Path) -> None:
    pyogrio = pytest.importorskip("pyogrio", reason="GeoPackage is written only where pyogrio is installed")
    labels = blocks()
    write_scene(tmp_path / "s.tif", labels)
    with open_raster(tmp_path / "s.tif") as raster:
        with create_label_raster(tmp_path / "l.tif", raster, categorical(4), [""] * 4) as writer:
            writer.write(0, 0, labels.astype(np.int32), labels >= 0)
        write_polygons(tmp_path / "t", ".gpkg", raster, tmp_path / "l.tif", [""] * 4, PolygonOptions())
    (tmp_path / "t").rename(tmp_path / "p.gpkg")
    facts = pyogrio.read_info(tmp_path / "p.gpkg")
    assert (facts["features"], facts["crs"], facts["geometry_type"]) == (4, "EPSG:32633", "Polygon")
    assert {"cluster", "pixels", "area_m2", "mean_1"} <= set(facts["fields"])
