from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.cli.main import cli
from tests.cli.segmenting import fails, names, run
from tests.rasters import planted, write_scene

rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_scene(tmp_path / "scene.tif", planted(120, 150), 5, dtype="uint16", nodata=0)
    return tmp_path / "scene.tif"


def test_labels_overlay_polygons_and_table(scene: Path, tmp_path: Path) -> None:
    result = run(scene, "-k", 4, "--polygons", tmp_path / "p.geojson", "--min-area", 1000, "--json")
    assert result.exit_code == 0, result.output
    assert names(tmp_path) == ["p.geojson", "scene.tif", "scene_labels.tif", "scene_overlay.png"]
    (facts,) = json.loads(result.stdout)
    assert facts["n_clusters"] == 4
    assert sum(facts["shares"]) == pytest.approx(1)
    assert [Path(path).name for path in facts["outputs"]] == [
        "scene_labels.tif",
        "scene_overlay.png",
        "p.geojson",
    ]
    features = json.loads((tmp_path / "p.geojson").read_text())["features"]
    assert {"cluster", "pixels", "area_m2", "mean_1", "mean_5"} <= set(features[0]["properties"])
    with rasterio.open(tmp_path / "scene_labels.tif") as labels:
        assert labels.crs.to_epsg() == 32633


def test_what_other_commands_make_of_a_label_raster(tmp_path: Path) -> None:
    truth = planted(60, 80)
    hole = np.zeros(truth.shape, bool)
    hole[:15] = True
    write_scene(tmp_path / "s.tif", truth, nodata=0, fill=hole)
    assert run(tmp_path / "s.tif", "-k", 3, "--no-overlay").exit_code == 0
    labels = tmp_path / "s_labels.tif"
    result = CliRunner().invoke(cli, ["info", str(labels), "--json"])
    facts = json.loads(result.stdout)
    assert (facts["n_clusters"], facts["without_data"]) == (3, 0.25)
    assert sum(facts["shares"].values()) == pytest.approx(1, abs=1e-5)
    out = tmp_path / "out"
    assert (
        CliRunner().invoke(cli, ["export", str(labels), "-o", str(out), "--format", "masks"]).exit_code == 0
    )
    assert names(out) == ["s_cluster0.png", "s_cluster1.png", "s_cluster2.png"]
    assert CliRunner().invoke(cli, ["export", str(labels), "-o", str(out)]).exit_code == 0
    with Image.open(out / "s_colour.png") as picture:
        assert picture.getpixel((5, 5)) == (0, 0, 0)


def test_rasters_and_photographs_together(scene: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    scene.rename(folder / "scene.tif")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(
        folder / "a.png"
    )
    for _ in range(2):  # its own label maps are not taken for scenes
        result = run(folder, "-k", 3, "-o", tmp_path / "out", "--no-overlay", "--overwrite")
        assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == ["a_labels.png", "scene_labels.tif"]
    assert run(folder, "-k", 3, "--no-overlay").exit_code == 0
    assert run(folder, "-k", 3, "--no-overlay", "--overwrite").exit_code == 0
    assert names(folder) == ["a.png", "a_labels.png", "scene.tif", "scene_labels.tif"]


def test_one_file_and_bands(scene: Path, tmp_path: Path) -> None:
    assert run(scene, "-k", 2, "--bands", "5,1", "-o", tmp_path / "m.tif", "--no-overlay").exit_code == 0
    assert names(tmp_path) == ["m.tif", "scene.tif"]
    fails(run(scene, "-o", tmp_path / "m.png"), "GeoTIFF", ".tif")
    fails(run(scene, "--bands", "6"), "bands 1 to 5")
    for bad in ("x", "0", "1,,2", ""):
        assert run(scene, "--bands", bad).exit_code == 2


def test_choices_rasters_do_not_have(scene: Path, tmp_path: Path) -> None:
    fails(run(scene, "--probabilities"), "--probabilities")
    fails(run(scene, "--stack", "texture"), "--stack")
    fails(run(scene, "--mode", "exact"), "--mode")
    for wanted in ("npz", "png"):
        fails(run(scene, "--format", wanted), "GeoTIFF", "--format")
    fails(run(scene, "--polygons", tmp_path / "p.shp"), ".geojson")
    fails(run(scene, "-o", tmp_path / "out", "--polygons", tmp_path / "gone" / "p.geojson"), "no such folder")
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    fails(run(tmp_path / "x.png", "--bands", "1"), "--bands", "x.png")
    fails(run(scene, "--window", 64), "--window")
    fails(run(tmp_path / "x.png", "--polygons", tmp_path / "p.geojson"), "--polygons wants one")
    assert names(tmp_path) == ["scene.tif", "x.png"]


def test_existing_polygons_and_the_input_itself_are_kept(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "p.geojson").write_text("mine")
    fails(run(scene, "-k", 2, "--polygons", tmp_path / "p.geojson"), "--overwrite")
    fails(run(scene, "-k", 2, "-o", scene, "--overwrite"), "is an input")
    assert names(tmp_path) == ["p.geojson", "scene.tif"]
    assert (tmp_path / "p.geojson").read_text() == "mine"


def test_a_truncated_raster_leaves_nothing(tmp_path: Path) -> None:
    write_scene(tmp_path / "whole.tif", planted(300, 300), tiled=True, blockxsize=64, blockysize=64)
    data = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "whole.tif").unlink()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) * 2 // 3])
    fails(run(tmp_path / "cut.tif", "-k", 2, "--polygons", tmp_path / "p.geojson"), "cut.tif")
    assert names(tmp_path) == ["cut.tif"]


def test_larger_than_the_cap_is_read_in_windows(tmp_path: Path) -> None:
    write_scene(tmp_path / "s.tif", planted(90, 90), crs=None)
    result = run(tmp_path / "s.tif", "-k", 3, "--max-pixels", 5000, "--no-overlay")
    assert result.exit_code == 0, result.output
    assert names(tmp_path) == ["s.tif", "s_labels.tif"]


def test_a_raster_that_is_a_picture_gets_the_labels_of_one(tmp_path: Path) -> None:
    truth = planted(120, 150)
    hole = np.zeros(truth.shape, bool)
    hole[:30, :40] = True
    written = write_scene(tmp_path / "s.tif", truth)
    Image.fromarray(np.moveaxis(written, 0, -1)).save(tmp_path / "p.png")
    assert run(tmp_path / "p.png", "-k", 3).exit_code == 0
    polygons = tmp_path / "p.geojson"
    result = run(tmp_path / "s.tif", "-k", 3, "--polygons", polygons, "--json")
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "s_labels.tif") as labels, Image.open(tmp_path / "p_labels.png") as picture:
        np.testing.assert_array_equal(labels.read(1), np.asarray(picture))
        assert (labels.crs.to_epsg(), labels.transform.a, labels.nodata) == (32633, 10, 255)
        assert len(json.loads(labels.tags()["CLASSES"])) == 3
        assert labels.colormap(1)[255] == (0, 0, 0, 0)
        ids = labels.read(1)
    features = json.loads(polygons.read_text())["features"]
    pixels = np.bincount([entry["properties"]["cluster"] for entry in features], minlength=3)
    assert pixels.min() > 0
    strokes = ("-k", 3, "--scribbles", polygons, "--overwrite")
    assert run(tmp_path / "s.tif", *strokes).exit_code == 0  # its own polygons are strokes
    with rasterio.open(tmp_path / "s_labels.tif") as labels:
        np.testing.assert_array_equal(labels.read(1), ids)
    write_scene(tmp_path / "s.tif", truth, nodata=0, fill=hole)
    assert run(tmp_path / "s.tif", "-k", 3, "--overwrite").exit_code == 0
    with rasterio.open(tmp_path / "s_labels.tif") as labels:
        np.testing.assert_array_equal(labels.read(1) == 255, hole)


def test_windows_are_for_larger_rasters_and_other_bands(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixelcluster.segmenting.rasters import raster, whole

    asked = []
    for module, name in ((whole, "label_whole"), (raster, "label_alone")):
        original = getattr(module, name)

        def watched(*arguments, name=name, original=original, **options):
            asked.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, watched)
    large = "0.018 megapixels, over the cap of 0.017999 (--max-pixels)"
    for options, why in (
        ((), "5 bands; 1 or 3 (--bands) are segmented whole"),
        (("--bands", "5,1"), "2 bands; 1 or 3 (--bands) are segmented whole"),
        (("--bands", "5,3,1", "--max-pixels", 17_999), large),
    ):
        result = run(scene, "-k", 2, "--no-overlay", "--overwrite", *options)
        assert result.exit_code == 0
        assert asked.pop() == "label_alone"
        assert result.stderr == f"note: {scene}: read in windows, by band values alone: {why}\n"
    for bands in ("5,3,1", "2"):
        result = run(scene, "-k", 2, "--no-overlay", "--overwrite", "--bands", bands)
        assert (result.exit_code, result.stderr) == (0, "")
        assert asked.pop() == "label_whole"
    assert run(scene, "-k", 2, "--no-overlay", "--overwrite", "--json").stderr == ""


def test_a_raster_of_one_band_has_means_in_its_own_unit(scene: Path, tmp_path: Path) -> None:
    """Also far out of the percentiles that its values are stretched between."""
    truth = np.arange(150) // 40 * np.ones((120, 1), int)
    truth[:2, :2] = 3
    hole = np.zeros(truth.shape, bool)
    hole[50:60] = True
    written = write_scene(tmp_path / "b.tif", truth, 1, dtype="float32", nodata=-9999, fill=hole)[0] / 1000
    written[:2, :2] = 77
    with rasterio.open(tmp_path / "b.tif", "r+") as dataset:
        dataset.write(np.where(hole, -9999, written).astype(np.float32), 1)
    result = run(tmp_path / "b.tif", "-k", 3)
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "b_labels.tif") as labels:
        ids = labels.read(1)
    wanted = [float(written[ids == i].astype(np.float64).mean()) for i in range(3)]
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["cluster", "pixels", "share", "mean", "value"]
    assert [float(line.split()[-1]) for line in lines[2:5]] == pytest.approx(wanted, rel=1e-5)
    assert "#" not in result.stdout
    (facts,) = json.loads(run(tmp_path / "b.tif", "-k", 3, "--overwrite", "--json").stdout)
    assert facts["mean_values"] == pytest.approx(wanted, rel=1e-6)
    (other,) = json.loads(run(scene, "-k", 2, "--json").stdout)
    assert "mean_values" not in other


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pixelcluster.segmenting.estimator import PixelCluster
    from tests.synthetic import settings, textures

    path = tmp_path_factory.mktemp("model") / "model"
    config = settings(targets={"stack": "rgb", "image_side": 64}, training={"epochs": 1})
    PixelCluster(config=config).fit(textures(2, side=64)[0]).save(path)
    assert CliRunner().invoke(cli, ["name", str(path), "1=wave"]).exit_code == 0
    return path


def test_a_model_on_three_bands_with_its_names(scene: Path, tmp_path: Path, model: Path) -> None:
    polygons = tmp_path / "p.geojson"
    result = run(
        scene, "--model", model, "--bands", "5,3,1", "--window", 100, "--polygons", polygons, "--json"
    )
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert facts["names"] == ["", "wave", ""]
    with rasterio.open(tmp_path / "scene_labels.tif") as labels:
        assert json.loads(labels.tags()["CLASSES"])[1]["name"] == "wave"
        assert labels.shape == (120, 150)
    properties = [entry["properties"] for entry in json.loads(polygons.read_text())["features"]]
    assert {"mean_5", "mean_3", "mean_1"} < set(properties[0])
    assert all(entry["name"] == ("wave" if entry["cluster"] == 1 else "") for entry in properties)
    fails(run(scene, "--model", model, "--bands", "1,2", "--overwrite"), "1 or 3 bands")
    told = run(scene, "--model", model, "--bands", "5,3,1", "-o", tmp_path / "out")
    assert (told.exit_code, "note" in told.stderr) == (0, False)  # a model sees more than band values
    hole = np.ones((120, 150), bool)
    write_scene(tmp_path / "empty.tif", planted(120, 150), nodata=0, fill=hole)
    fails(run(tmp_path / "empty.tif", "--model", model, "-o", tmp_path / "new"), "no valid pixel")
    assert not (tmp_path / "new").exists()
    strokes = ("--model", model, "--bands", "5,3,1", "--scribbles", polygons, "--overwrite", "--no-overlay")
    fails(run(scene, *strokes, "--mode", "fast"), "chains")
    ours = np.asarray(Image.open(tmp_path / "scene_labels.tif"))
    assert run(scene, *strokes).exit_code == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "scene_labels.tif")), ours)


def test_strokes_without_a_model(scene: Path, tmp_path: Path) -> None:
    x, y = 500_000, 5_500_000
    features = [
        {
            "type": "Feature",
            "properties": {"label": label},
            "geometry": {"type": "LineString", "coordinates": [[x + 55, y - row], [x + 405, y - row]]},
        }
        for label, row in (("field", 1205 - 60), ("water", 605))
    ]
    strokes = tmp_path / "strokes.geojson"
    strokes.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    result = run(scene, "-k", 4, "--scribbles", strokes, "--json")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert facts["names"][:2] == ["field", "water"]
    with rasterio.open(tmp_path / "scene_labels.tif") as labels:
        assert json.loads(labels.tags()["CLASSES"])[0]["name"] == "field"
        ids = labels.read(1)
    assert (ids[114, 6:40] == 0).all()
    assert (ids[60, 6:40] == 1).all()
    strokes.write_text("{}")
    fails(run(scene, "-k", 4, "--scribbles", strokes, "-o", tmp_path / "out"), "strokes.geojson")
    assert names(tmp_path) == ["scene.tif", "scene_labels.tif", "scene_overlay.png", "strokes.geojson"]


def test_looks_are_of_pictures_alone(tmp_path: Path) -> None:
    write_scene(tmp_path / "scene.tif", planted(40, 50), 3, dtype="uint8")
    fails(run(tmp_path / "scene.tif", "-k", 3, "--no-legend"), "--no-legend", "pixelcluster export")
