from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.polygons import PolygonOptions
from pixelcluster.io.raster import open_raster
from pixelcluster.segmenting.rasters import outputs as outputs_module
from pixelcluster.segmenting.rasters import raster as raster_module
from pixelcluster.segmenting.rasters.outputs import write_raster_outputs
from pixelcluster.segmenting.rasters.raster import label_alone, label_with_model
from pixelcluster.segmenting.reader import Reader
from pixelcluster.training.run import fit_model
from tests.disks import contents, fill_up
from tests.rasters import planted, write_scene
from tests.segmenting.test_predict import Half
from tests.synthetic import settings, textures

rasterio = pytest.importorskip("rasterio")
CPU = torch.device("cpu")


def grey_raster(path: Path, image: np.ndarray, **profile: object) -> None:
    values = (np.moveaxis(image, -1, 0) * 254 + 1).astype(np.uint8)
    place = rasterio.Affine(2, 0, 100, 0, -2, 900)
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[1], width=values.shape[2], count=3, dtype="uint8",
        transform=place, crs="EPSG:32633", **profile,
    ) as dataset:  # fmt: skip
        dataset.write(values)


@pytest.fixture(scope="module")
def model():
    """A model for native resolution; at temperature 0 its labels are a function of the image."""
    images, _ = textures(6)
    config = settings(targets={"image_side": None}, sampler={"inference_rounds": 4}, prior={"rows": 0})
    fitted = fit_model(images, config, device=CPU)
    cold = config.model_copy(update={"sampler": config.sampler.model_copy(update={"temperature": 0.0})})
    return replace(fitted, config=cold)


def ask(path: Path, model, **options) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path, colours_only=True) as raster:
        labels, valid = np.full(raster.shape, -1), np.zeros(raster.shape, bool)
        found = label_with_model(raster, Reader(model, "exact", 0, CPU), **options)
        for top, left, window, values, seen in found.windows:
            assert window.shape == values.shape[:2] == seen.shape
            here = (slice(top, top + len(window)), slice(left, left + window.shape[1]))
            labels[here], valid[here] = window, seen
    return labels, valid


def watch_tiles(monkeypatch) -> list[np.ndarray]:
    """Return the list of the tiles the model sees from now on."""
    tiles: list[np.ndarray] = []
    original = raster_module.tile_log_probabilities

    def watched(reader, tile, *rest, **options):
        tiles.append(tile)
        return original(reader, tile, *rest, **options)

    monkeypatch.setattr(raster_module, "tile_log_probabilities", watched)
    return tiles


def test_windows_of_a_model_agree_with_the_whole_image(tmp_path, model, monkeypatch) -> None:
    image, truth = (part[0] for part in textures(1, side=400, seed=5))
    grey_raster(tmp_path / "s.tif", image)
    whole, _ = ask(tmp_path / "s.tif", model)  # 512: one window
    monkeypatch.setattr(raster_module, "TILE", 256)
    tiles = watch_tiles(monkeypatch)
    tiled, valid = ask(tmp_path / "s.tif", model)
    assert valid.all()
    assert len(tiles) == 4
    assert (tiled != whole).mean() < 0.01
    assert (tiled == truth).mean() > 0.9 or len(np.unique(tiled)) == 3


def test_borders_are_no_more_frequent_where_windows_meet(tmp_path, model, monkeypatch) -> None:
    rng = np.random.default_rng(2)
    image = np.concatenate([np.concatenate(textures(3, side=160, seed=s)[0], 1) for s in (1, 2, 3)])
    grey_raster(tmp_path / "s.tif", (image + rng.normal(0, 0.05, image.shape)).clip(0, 1).astype(np.float32))
    monkeypatch.setattr(raster_module, "TILE", 128)
    tiled, _ = ask(tmp_path / "s.tif", model)
    step = 128 - 32  # windows overlap by a quarter
    changes = np.stack([(tiled[:, 1:] != tiled[:, :-1]).mean(0), (tiled[1:] != tiled[:-1]).mean(1)])
    # 480 pixels: windows begin every 96; texture bands end elsewhere but at 160 and 320.
    seams = [start + offset for start in range(step, 480 - 32, step) for offset in range(-1, 33)]
    elsewhere = np.setdiff1d(np.arange(479), [*seams, *range(155, 165), *range(315, 325)])
    assert changes[:, seams].mean() < 1.2 * changes[:, elsewhere].mean() + 0.002


def test_blocks_are_written_in_rows_of_whole_tiles(tmp_path, model, monkeypatch) -> None:
    image, _ = (part[0] for part in textures(1, side=400, seed=5))
    grey_raster(tmp_path / "s.tif", image)
    whole, _ = ask(tmp_path / "s.tif", model)
    monkeypatch.setattr(raster_module, "BLOCK", 32)
    blocks, _ = ask(tmp_path / "s.tif", model)
    np.testing.assert_array_equal(blocks, whole)


def test_larger_windows_are_shrunk_to_the_models_size(tmp_path, model, monkeypatch) -> None:
    """Columns of red 0.9 and 0.2 are 0.55 on average: only at half the size is that what the student sees."""
    image = np.full((300, 260, 3), 0.3, np.float32)
    image[..., 0] = np.where(np.arange(260) % 2, 0.9, 0.2)
    grey_raster(tmp_path / "s.tif", image)
    targets = model.config.targets.model_copy(update={"image_side": 64})
    small = replace(model, config=model.config.model_copy(update={"targets": targets}), student=Half())
    tiles = watch_tiles(monkeypatch)
    with open_raster(tmp_path / "s.tif") as raster:
        for window, spread in ((128, 0.0), (None, 0.35)):
            tiles.clear()
            found = label_with_model(raster, Reader(small, "fast", 0, CPU), window=window)
            labels = [labels for _, _, labels, _, _ in found.windows]
            assert max(max(tile.shape) for tile in tiles) == 64
            assert tiles[0][..., 0].std() == pytest.approx(spread, abs=5e-3)
            assert sum(part.size for part in labels) == 300 * 260
            assert spread or not any(part.any() for part in labels)


def test_what_is_invalid_is_not_labelled(tmp_path, model) -> None:
    image = np.full((700, 90, 3), 0.3, np.float32)
    image[..., 0] = np.where(np.arange(90) < 45, 0.9, 0.1)
    grey_raster(tmp_path / "s.tif", image, nodata=0)
    with rasterio.open(tmp_path / "s.tif", "r+") as dataset:
        values = dataset.read()
        values[:, :600] = 0  # more than a whole window
        dataset.write(values)
    fast = replace(model, student=Half())
    with open_raster(tmp_path / "s.tif") as raster:
        labels = label_with_model(raster, Reader(fast, "fast", 0, CPU))
        files = {"labels": tmp_path / "l.tif", "overlay": tmp_path / "o.png"}
        table = write_raster_outputs(raster, labels, files, PolygonOptions(), overwrite=False)
    assert [row.pixels for row in table] == [pytest.approx(4500, abs=400), pytest.approx(4500, abs=400), 0]
    assert sum(row.share for row in table) == pytest.approx(1)
    assert (table[0].mean_colour[:3], table[2].mean_colour) == ("#e5", "")
    with rasterio.open(tmp_path / "l.tif") as dataset:
        assert (dataset.read(1)[:600] == 255).all()
        assert set(np.unique(dataset.read(1)[600:])) == {0, 1}


def test_outputs_appear_together_or_not_at_all(tmp_path) -> None:
    write_scene(tmp_path / "s.tif", planted(90, 90))
    files = {"labels": tmp_path / "l.tif", "overlay": tmp_path / "o.png", "polygons": tmp_path / "p.geojson"}

    def broken(raster):
        for number, window in enumerate(label_alone(raster, 3, seed=0).windows):
            yield window
            raise PixelClusterError(f"window {number} is damaged")

    with open_raster(tmp_path / "s.tif") as raster:
        good = label_alone(raster, 3, seed=0)
        with pytest.raises(PixelClusterError, match="damaged"):
            bad = replace(good, windows=broken(raster))
            write_raster_outputs(raster, bad, files, PolygonOptions(), overwrite=False)
        assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]
        shares: list[float] = []
        table = write_raster_outputs(
            raster, good, files, PolygonOptions(), overwrite=False, share_done=shares.append
        )
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l.tif", "o.png", "p.geojson", "s.tif"]
    assert sum(row.pixels for row in table) == 8100


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch) -> None:
    from rasterio.errors import RasterioIOError

    def full(*_: object) -> None:
        raise RasterioIOError("Write failed. See previous exception for details.") from OSError("disk full")

    write_scene(tmp_path / "s.tif", planted(90, 90))
    files = {"labels": tmp_path / "l.tif", "polygons": tmp_path / "p.geojson"}
    for place in ("pixelcluster.io.label_raster.LabelWriter.write", "pixelcluster.io.polygons._regions"):
        with monkeypatch.context() as patch, open_raster(tmp_path / "s.tif") as raster:
            patch.setattr(place, full)
            with pytest.raises(PixelClusterError, match="disk full"):
                labels = label_alone(raster, 3, seed=0)
                write_raster_outputs(raster, labels, files, PolygonOptions(), overwrite=False)
        assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


def test_a_disk_full_at_the_end_leaves_the_old_set(tmp_path, monkeypatch) -> None:
    write_scene(tmp_path / "s.tif", planted(90, 90))
    (tmp_path / "polygons").mkdir()
    paths = [tmp_path / "l.tif", tmp_path / "o.png", tmp_path / "polygons" / "p.geojson"]
    files = dict(zip(("labels", "overlay", "polygons"), paths, strict=True))

    def write(k: int) -> None:
        labels = label_alone(raster, k, seed=0)
        write_raster_outputs(raster, labels, files, PolygonOptions(), overwrite=True)

    with open_raster(tmp_path / "s.tif") as raster:
        write(2)
        before = contents(paths)
        fill_up(monkeypatch, 3)
        with pytest.raises(PixelClusterError, match="No space left"):
            write(4)
    assert contents(paths) == before


def test_a_raster_without_data_is_refused_before_there_are_outputs(tmp_path, model) -> None:
    grey_raster(tmp_path / "s.tif", np.full((40, 40, 3), -1 / 254), nodata=0)
    message = "holds no valid pixel; check its nodata value and mask"
    with open_raster(tmp_path / "s.tif", colours_only=True) as raster:
        with pytest.raises(PixelClusterError, match=message):
            label_with_model(raster, Reader(model, "exact", 0, CPU))
        with pytest.raises(PixelClusterError, match=message):
            label_alone(raster, 2, seed=0)


def test_the_overlay_of_a_large_scene_is_small(tmp_path, monkeypatch) -> None:
    from PIL import Image

    monkeypatch.setattr(outputs_module, "_OVERVIEW_PIXELS", 900)
    monkeypatch.setattr(raster_module, "_WINDOW", 32)
    write_scene(tmp_path / "s.tif", planted(150, 200))
    files = {"labels": tmp_path / "l.tif", "overlay": tmp_path / "o.png"}
    with open_raster(tmp_path / "s.tif") as raster:
        write_raster_outputs(raster, label_alone(raster, 2, seed=0), files, PolygonOptions(), overwrite=False)
    with Image.open(tmp_path / "o.png") as picture, rasterio.open(tmp_path / "l.tif") as labels:
        assert picture.height < 150
        assert labels.shape == (150, 200)


def test_fewer_clusters_than_asked_warns(tmp_path) -> None:
    image = np.full((40, 40, 3), 0.5, np.float32)
    image[:20] = 0.1
    grey_raster(tmp_path / "s.tif", image)
    with open_raster(tmp_path / "s.tif") as raster, pytest.warns(PixelClusterWarning, match="asked for 5"):
        assert len(label_alone(raster, 5, seed=0).names) == 2
