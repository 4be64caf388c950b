from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.raster import open_raster
from pixelcluster.io.tiff_header import is_raster
from tests.rasters import planted, write_scene

rasterio = pytest.importorskip("rasterio")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_scene(tmp_path / "scene.tif", planted(70, 90))
    return tmp_path / "scene.tif"


def plain(**profile: object) -> dict[str, object]:
    return {"crs": None, "transform": None, **profile}


def test_what_counts_as_a_raster(tmp_path: Path, scene: Path) -> None:
    labels = planted(20, 30)
    assert is_raster(scene)
    for name, bands, profile, wanted in (
        ("plain.tif", 3, plain(), False),
        ("nodata.tif", 3, plain(nodata=0), True),
        ("many.tif", 6, plain(), True),
        ("big.tif", 3, {"BIGTIFF": "YES"}, True),
    ):
        write_scene(tmp_path / name, labels, bands, **profile)
        assert is_raster(tmp_path / name) is wanted, name
    assert is_raster(tmp_path / "plain.tif", max_pixels=599)
    Image.new("RGB", (40, 30)).save(tmp_path / "x.png")
    (tmp_path / "cut.tif").write_bytes(scene.read_bytes()[:5])
    for name in ("x.png", "cut.tif", "gone.tif", "."):
        assert not is_raster(tmp_path / name, max_pixels=1)


def test_windows_are_the_files_values(tmp_path: Path) -> None:
    hole = np.zeros((70, 90), bool)
    hole[5:20, 30:50] = True
    written = write_scene(tmp_path / "s.tif", planted(70, 90), nodata=0, fill=hole)
    with open_raster(tmp_path / "s.tif") as raster:
        assert (raster.shape, raster.bands) == ((70, 90), (1, 2, 3))
        values, valid = raster.read(slice(3, 40), slice(20, 71))
    np.testing.assert_array_equal(valid, ~hole[3:40, 20:71])
    np.testing.assert_allclose(
        values[valid], written[:, 3:40, 20:71].transpose(1, 2, 0)[valid] / 255, rtol=1e-6
    )
    assert not values[~valid].any()


def test_every_window_has_one_scale(tmp_path: Path) -> None:
    written = write_scene(tmp_path / "s.tif", planted(70, 90), 5, dtype="uint16").astype(float)
    with open_raster(tmp_path / "s.tif") as raster:
        whole, _ = raster.read(slice(0, 70), slice(0, 90))
        part, _ = raster.read(slice(10, 30), slice(40, 60))
    np.testing.assert_array_equal(part, whole[10:30, 40:60])
    low, high = np.percentile(written.reshape(5, -1), (1, 99), axis=1)
    wanted = ((written - low[:, None, None]) / (high - low)[:, None, None]).clip(0, 1)
    np.testing.assert_allclose(whole, wanted.transpose(1, 2, 0), atol=2e-3)


def test_nan_is_invalid_and_does_not_spread(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "f.tif", "w", driver="GTiff", width=40, height=40, count=1, dtype="float32"
    ) as dataset:
        values = np.full((40, 40), 3.0, np.float32)
        values[::4, ::4] = np.nan
        values[0, 1] = 5.0
        dataset.write(values, 1)
    with open_raster(tmp_path / "f.tif") as raster:
        read, valid = raster.read(slice(0, 40), slice(0, 40), scaled=False)
        assert (~valid).sum() == 100
        _, seen = raster.overview(100)
    assert seen.all()
    assert np.isfinite(read).all()


def test_averages_are_of_valid_pixels(tmp_path: Path) -> None:
    hole = np.zeros((64, 64), bool)
    hole[:, 32:] = True
    written = write_scene(tmp_path / "s.tif", planted(64, 64), nodata=0, fill=hole).astype(float)
    with open_raster(tmp_path / "s.tif") as raster:
        values, valid = raster.overview(64)
    assert valid.shape == (8, 8)
    assert valid[:, :4].all()
    assert not valid[:, 4:].any()
    wanted = written[:, :, :32].reshape(3, 8, 8, 4, 8).mean((2, 4)).transpose(1, 2, 0) / 255
    np.testing.assert_allclose(values[:, :4], wanted, atol=1e-4)


def test_an_overview_does_not_depend_on_how_it_is_read(tmp_path: Path, monkeypatch) -> None:
    write_scene(tmp_path / "s.tif", planted(70, 90))
    with open_raster(tmp_path / "s.tif") as raster:
        whole = raster.overview(700)
        monkeypatch.setattr("pixelcluster.io.raster._READ_SIDE", 16)
        parts = raster.overview(700)
    assert whole[0].shape == (24, 30, 3)
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-6)


def test_bands_by_number_and_by_colour(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp

    labels = planted(20, 30)
    written = write_scene(tmp_path / "s.tif", labels, 5)
    with rasterio.open(tmp_path / "s.tif", "r+") as dataset:
        names = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
        dataset.colorinterp = [*names, ColorInterp.alpha]
    with open_raster(tmp_path / "s.tif") as raster:
        assert raster.bands == (4, 3, 2, 1)  # no alpha
    with open_raster(tmp_path / "s.tif", colours_only=True) as raster:
        assert raster.bands == (4, 3, 2)
    with open_raster(tmp_path / "s.tif", bands=[1, 3]) as raster:
        values, _ = raster.read(slice(0, 20), slice(0, 30), scaled=False)
        assert raster.display(values).shape == (20, 30, 3)
    np.testing.assert_array_equal(values, written[[0, 2]].transpose(1, 2, 0))
    for bands in ([0], [6], []):
        with (
            pytest.raises(PixelClusterError, match="bands 1 to 5"),
            open_raster(tmp_path / "s.tif", bands=bands),
        ):
            pass


def test_alpha_is_a_mask(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp

    write_scene(tmp_path / "s.tif", planted(20, 30), 4, photometric="rgb", alpha="yes")
    with rasterio.open(tmp_path / "s.tif", "r+") as dataset:
        assert dataset.colorinterp[3] is ColorInterp.alpha
        alpha = np.full((20, 30), 255, np.uint8)
        alpha[:7] = 0
        dataset.write(alpha, 4)
    with open_raster(tmp_path / "s.tif") as raster:
        _, valid = raster.read(slice(0, 20), slice(0, 30))
        assert raster.bands == (1, 2, 3)
    np.testing.assert_array_equal(valid, alpha > 0)


def fails(path: Path, *words: str) -> None:
    with pytest.raises(PixelClusterError) as caught, open_raster(path) as raster:
        raster.read(slice(0, raster.shape[0]), slice(0, raster.shape[1]))
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


def test_other_drivers_and_network_paths_are_refused(tmp_path: Path, scene: Path) -> None:
    vrt = tmp_path / "evil.tif"
    vrt.write_text(
        f'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{scene}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    fails(vrt, "GeoTIFF")
    for path in ("/vsicurl/http://localhost:1/x.tif", "/vsizip/x.zip/x.tif", "http://localhost:1/x.tif"):
        with pytest.raises(PixelClusterError, match="local disk"), open_raster(path):
            pass


def test_side_files_are_not_opened(tmp_path: Path, scene: Path) -> None:
    """An .aux.xml may name any other file as overview, and a .msk hides pixels the file itself shows."""
    other = tmp_path / "other.tif"
    write_scene(other, planted(7, 9))
    (tmp_path / "scene.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{other}</MDI></Metadata>'
        "</PAMDataset>"
    )
    with open_raster(scene) as raster:
        assert raster.dataset.files == [str(scene)]
        assert raster.dataset.overviews(1) == []


def test_damaged_files_are_one_line(tmp_path: Path, scene: Path) -> None:
    data = scene.read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    (tmp_path / "noise.tif").write_bytes(data[:8] + os.urandom(500))
    fails(tmp_path / "cut.tif")
    fails(tmp_path / "noise.tif")


def test_what_could_not_be_read_in_bounded_memory_is_refused(tmp_path: Path, monkeypatch) -> None:
    labels = planted(300, 200)
    write_scene(tmp_path / "one_block.tif", labels, tiled=True, blockxsize=256, blockysize=512)
    monkeypatch.setattr("pixelcluster.io.raster._MAX_BLOCK_BYTES", 100_000)
    fails(tmp_path / "one_block.tif", "256 x 512", "TILED=YES")
    monkeypatch.setattr("pixelcluster.io.raster.MAX_RASTER_PIXELS", 59_999)
    fails(tmp_path / "one_block.tif", "cap")


def test_rasters_without_a_picture(tmp_path: Path) -> None:
    labels = planted(20, 30)
    write_scene(tmp_path / "complex.tif", labels, 1, dtype="complex64")
    fails(tmp_path / "complex.tif", "complex")
    with rasterio.open(
        tmp_path / "palette.tif", "w", driver="GTiff", width=9, height=9, count=1, dtype="uint8"
    ) as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3, 255)})
    fails(tmp_path / "palette.tif", "-expand rgb")
    write_scene(tmp_path / "empty.tif", labels, 3, dtype="int16", nodata=-1, fill=labels >= 0)
    fails(tmp_path / "empty.tif", "no valid pixel")
    write_scene(tmp_path / "wide.tif", labels[:2, :2], 70)
    fails(tmp_path / "wide.tif", "--bands")


def test_rasterio_missing_is_said(scene: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(PixelClusterError, match=r"pixelcluster\[geo\]"), open_raster(scene):
        pass


def test_flipped_bytes_never_escape_as_anything_else(tmp_path: Path) -> None:
    write_scene(tmp_path / "s.tif", planted(20, 30), compress="deflate", nodata=0)
    whole = np.frombuffer((tmp_path / "s.tif").read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(150):
        data = whole.copy()
        data[rng.integers(0, min(900, len(data)), 4)] = rng.integers(0, 256, 4)
        (tmp_path / "m.tif").write_bytes(data.tobytes())
        is_raster(tmp_path / "m.tif")
        try:
            with open_raster(tmp_path / "m.tif") as raster:
                raster.read(slice(0, min(50, raster.shape[0])), slice(0, min(50, raster.shape[1])))
        except PixelClusterError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert not any("\n" in message for message in messages)
