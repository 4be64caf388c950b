from __future__ import annotations

import io
import os
import signal
import struct
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.describe import describe
from pixelcluster.io.label_map import read_label_map
from pixelcluster.io.read import list_images, read_image
from pixelcluster.io.scribbles import read_scribbles
from pixelcluster.io.settings_yaml import read_yaml
from pixelcluster.io.tiff_header import is_raster
from pixelcluster.render.palette_file import read_palette
from tests.io.test_read import error_of, ramp
from tests.rasters import planted, write_scene


@pytest.mark.parametrize(("n_bands", "dtype"), [(5, "uint16"), (1, "float32"), (5, "uint8")])
def test_rasters_are_pointed_to_the_command(tmp_path: Path, n_bands: int, dtype: str) -> None:
    pytest.importorskip("rasterio")
    write_scene(tmp_path / "scene.tif", planted(20, 30), n_bands=n_bands, dtype=dtype)
    message = error_of(tmp_path / "scene.tif")
    assert "scene.tif: is a raster" in message
    assert "pixelcluster segment FILE" in message


def test_32_bit_integer_tiff_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 70000]], dtype=np.int32)).save(tmp_path / "i.tif")
    assert "white level" in error_of(tmp_path / "i.tif")
    with Image.open(tmp_path / "i.tif") as image:
        image.info["transparency"] = 1
        assert "white level" in error_of(image)


def test_a_tiff_that_pillow_does_not_know_is_called_one(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    for count, dtype, words in (
        (2, "uint16", "2 samples a pixel, 16 bits each"),
        (3, "float64", "3 samples a pixel, 64 bits each"),
    ):
        with (
            pytest.warns(rasterio.errors.NotGeoreferencedWarning),
            rasterio.open(
                tmp_path / "c.tif", "w", driver="GTiff", width=9, height=8, count=count, dtype=dtype
            ) as dataset,
        ):
            dataset.write(np.ones((count, 8, 9), dtype))
        message = error_of(tmp_path / "c.tif")
        assert f"c.tif: a TIFF of {words}; wanted 1, 3 or 4 samples" in message
    assert "not an image" not in message


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (np.zeros((2, 2, 2)), "(2, 2, 2)"),
        (np.zeros((0, 4)), "(0, 4)"),
        (np.zeros(5), "(5,)"),
        (np.zeros((2, 2), dtype=np.int64), "int64"),
        (np.full((2, 2), np.nan), "NaN"),
        (np.full((2, 2), -0.1), "[-0.1, -0.1]"),
        (np.zeros((2, 2), dtype=complex), "complex"),
        ([[1, 2]], "list"),
        (None, "NoneType"),
    ],
)
def test_other_values_are_refused(source: object, word: str) -> None:
    assert word in error_of(source)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "gif", "bmp", "ppm"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for kept in (len(content) // 2, 30, 4):
        path.write_bytes(content[:kept])
        assert f"t.{suffix}" in error_of(path)


def test_missing_empty_folder_text_and_special_files(tmp_path: Path) -> None:
    assert "no such file" in error_of(tmp_path / "none.png")
    assert "is a folder" in error_of(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "0 bytes" in error_of(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("hello")
    assert "not an image" in error_of(tmp_path / "text.png")
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    assert "not a regular file" in error_of(tmp_path / "pipe.png")
    assert "cannot be opened" in error_of("a\0b.png")
    assert "cannot be opened" in error_of("x" * 300 + ".png")


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A pipe nobody writes to, named as a label map; a test that opens it ends after 10 seconds."""
    os.mkfifo(tmp_path / "x_labels.tif")
    signal.alarm(10)
    yield tmp_path / "x_labels.tif"
    signal.alarm(0)


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_pipes_are_refused_before_they_are_opened(pipe: Path) -> None:
    assert not is_raster(pipe)
    assert list_images([pipe.parent]) == [pipe]
    readers = {
        "pipe.tif": (read_image, read_label_map, describe),
        "pipe.npz": (read_label_map, describe),
        "pipe.json": (partial(read_scribbles, shape=(2, 2)), read_palette),
        "pipe.yaml": (read_yaml,),
        "pipe.safetensors": (describe,),
    }
    for name, functions in readers.items():
        for function in functions:
            renamed = pipe.rename(pipe.with_name(name))
            with pytest.raises(PixelClusterError, match=f"{name}: is not a regular file"):
                function(renamed)
            renamed.rename(pipe)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    Image.fromarray(ramp()).save(path)
    path.chmod(0)
    assert "permission denied" in error_of(path)


def test_line_breaks_in_names_stay_on_one_line(tmp_path: Path) -> None:
    assert r"two\nlines" in error_of(tmp_path / "two\nlines.png")


def test_formats_outside_the_list_are_refused(tmp_path: Path) -> None:
    for file_format in ("ICO", "TGA", "PCX", "PDF"):
        path = tmp_path / "disguised.png"
        Image.new("RGB", (16, 16)).save(path, file_format)
        assert "not an image this program reads" in error_of(path)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_animations_are_refused_with_their_frame_count(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(3)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert "3 frames" in error_of(path)
    with Image.open(path) as image:
        assert "3 frames" in error_of(image)
        image.seek(1)
        assert read_image(image.copy()).shape == (8, 8, 3)


def test_the_pixel_cap_is_compared_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    # A header that promises 20000 x 20000 pixels and no data at all: decoding would fail in another way.
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    crc = struct.pack(">I", __import__("zlib").crc32(chunk))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc + struct.pack(">I", 9) + b"IDAT"
    )
    assert "100 megapixels" in error_of(path)
    assert "damaged or truncated" in error_of(path, max_pixels=10**9)
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(ramp(10, 10)).save(tmp_path / "small.png")
    message = error_of(tmp_path / "small.png", max_pixels=99)
    assert "10 x 10" in message
    assert "--max-pixels" in message
    assert read_image(tmp_path / "small.png", max_pixels=100).shape == (10, 10, 3)
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_frame_larger_than_the_header_says_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow warns of it while it decodes; ours is the size in the header, which is small."""
    path = tmp_path / "bomb.png"
    Image.fromarray(ramp()).save(path)

    def load(image: Image.Image) -> None:
        warnings.warn(
            "Image size (99999999 pixels) exceeds limit", Image.DecompressionBombWarning, stacklevel=2
        )

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    assert "larger than the cap" in error_of(path)


def test_a_compressed_text_that_swells_is_refused(tmp_path: Path) -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "x" * 70_000_000, zip=True)
    Image.fromarray(ramp()).save(tmp_path / "text.png", pnginfo=note)
    assert (tmp_path / "text.png").stat().st_size < 100_000
    assert "damaged or truncated" in error_of(tmp_path / "text.png")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    file_format = data.draw(st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM"]))
    buffer = io.BytesIO()
    Image.fromarray(ramp(9, 9)).save(buffer, file_format)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    try:
        image = read_image(path, max_pixels=10_000)
    except PixelClusterError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert image.shape[2] == 3


def test_list_images_names_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="no image in this folder"):
        list_images([tmp_path])
