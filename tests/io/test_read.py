from __future__ import annotations

import io
import os
import signal
import struct
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.describe import describe
from pixelcluster.io.label_map import read_label_map
from pixelcluster.io.read import list_images, read_image
from pixelcluster.io.scribbles import read_scribbles
from pixelcluster.io.settings_yaml import read_yaml
from pixelcluster.io.tiff_header import is_raster
from pixelcluster.render.palette_file import read_palette
from tests.rasters import planted, write_scene


def ramp(height: int = 6, width: int = 5) -> np.ndarray:
    return (np.arange(height * width * 3).reshape(height, width, 3) * 2 % 256).astype(np.uint8)


def error_of(source: object, **options: int) -> str:
    with pytest.raises(PixelClusterError) as caught:
        read_image(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm", "webp"])
def test_lossless_formats_give_the_same_values(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(ramp()).save(path, **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, ramp().astype(np.float32) / 255)


def test_jpeg_and_gif_agree_with_pillow(tmp_path: Path) -> None:
    for suffix in ("jpg", "gif"):
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(ramp()).save(path)
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB")) / np.float32(255)
        np.testing.assert_array_equal(read_image(str(path)), expected)


def test_16_bit_grey_keeps_its_bits(tmp_path: Path) -> None:
    grey = np.array([[0, 1, 257], [30000, 65534, 65535]], dtype=np.uint16)
    for suffix in ("png", "tif", "pgm"):
        path = tmp_path / f"g.{suffix}"
        assert cv2.imwrite(str(path), grey)
        np.testing.assert_allclose(read_image(path)[..., 1], grey / 65535, atol=1e-7)


@pytest.mark.parametrize(("top", "white"), [(200, 255), (700, 4095), (4095, 4095), (16383, 16383)])
def test_sensors_of_fewer_bits_have_their_own_white(tmp_path: Path, top: int, white: int) -> None:
    grey = np.array([[0, 100, top]], dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "g.png"), grey)
    for source, name in ((tmp_path / "g.png", "g.png"), (grey, "array")):
        with pytest.warns(PixelClusterWarning, match=rf"{name}: .* reach {top} of 65535, so {white} \("):
            image = read_image(source)
        np.testing.assert_allclose(image[..., 0], grey / white, atol=1e-6)


def test_16_bits_that_are_used_or_empty_are_as_they_are() -> None:
    assert read_image(np.array([[16384]], dtype=np.uint16))[0, 0, 0] == np.float32(16384 / 65535)
    assert not read_image(np.zeros((2, 2), dtype=np.uint16)).any()


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    grey = np.array([[0, 256], [4660, 65535]], dtype=np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", grey, byteorder=">")
    np.testing.assert_allclose(read_image(tmp_path / "b.tif")[..., 0], grey / 65535, atol=1e-7)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_colour_is_read_to_8_bits(tmp_path: Path, suffix: str) -> None:
    colour = np.array([[[0, 30000, 65535], [513, 40000, 255]]], dtype=np.uint16)
    path = tmp_path / f"c.{suffix}"
    assert cv2.imwrite(str(path), colour[..., ::-1])
    np.testing.assert_allclose(read_image(path), colour / 65535, atol=1 / 255)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 51]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    expected = np.array([[[1, 1, 1], [1, 0, 0], [0.8, 0.8, 0.8]]])
    with pytest.warns(PixelClusterWarning, match=r"a\.png: transparent pixels are laid over white"):
        np.testing.assert_allclose(read_image(tmp_path / "a.png"), expected, atol=1e-6)
    with pytest.warns(PixelClusterWarning, match="array: transparent"):
        np.testing.assert_allclose(read_image(rgba), expected, atol=1e-6)
    Image.fromarray(rgba[..., [0, 3]]).save(tmp_path / "la.png")
    with pytest.warns(PixelClusterWarning, match="transparent"):
        np.testing.assert_allclose(read_image(tmp_path / "la.png")[0, 0], 1)
    np.testing.assert_array_equal(read_image(rgba[:, 1:2]), expected[:, 1:2])  # opaque: no warning


def test_palette_with_transparent_index(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "p.png", transparency=1)
    with pytest.warns(PixelClusterWarning, match="transparent"):
        found = read_image(tmp_path / "p.png")
    np.testing.assert_allclose(found * 255, [[[10, 20, 30], [255, 255, 255]]], atol=1e-3)


def test_one_bit_and_cmyk(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_image(tmp_path / "1.png")[0, :, 0], [1, 0])
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for name in ("c.tif", "c.jpg"):
        cmyk.save(tmp_path / name)
        np.testing.assert_allclose(read_image(tmp_path / name)[4, 4], [1, 0, 0], atol=0.02)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to view
    Image.fromarray(ramp(4, 7)).save(tmp_path / "e.png", exif=exif)
    expected = np.rot90(ramp(4, 7), -1) / np.float32(255)
    np.testing.assert_array_equal(read_image(tmp_path / "e.png"), expected)
    with Image.open(tmp_path / "e.png") as image:  # however it is passed
        np.testing.assert_array_equal(read_image(image), expected)
        assert image.size == (7, 4)
    np.testing.assert_array_equal(read_image((tmp_path / "e.png").read_bytes()), expected)


def test_pillow_images_keep_16_bits_and_are_refused_in_one_line(tmp_path: Path) -> None:
    grey = np.array([[0, 1, 30000]], dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "g.pgm"), grey)
    with Image.open(tmp_path / "g.pgm") as image:
        np.testing.assert_allclose(read_image(image)[..., 0], grey / 65535, atol=1e-7)
    Image.fromarray(ramp(40, 40)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-200])
    with Image.open(tmp_path / "cut.jpg") as image:
        assert "damaged or truncated" in error_of(image)


@pytest.mark.parametrize(("n_bands", "dtype"), [(5, "uint16"), (1, "float32"), (5, "uint8")])
def test_rasters_are_pointed_to_the_command(tmp_path: Path, n_bands: int, dtype: str) -> None:
    pytest.importorskip("rasterio")
    write_scene(tmp_path / "scene.tif", planted(20, 30), n_bands=n_bands, dtype=dtype)
    message = error_of(tmp_path / "scene.tif")
    assert "scene.tif: is a raster" in message
    assert "pixelcluster segment FILE" in message


def test_float_tiff_wants_the_unit_range(tmp_path: Path) -> None:
    path = tmp_path / "f.tif"
    Image.fromarray(np.array([[0.0, 0.25, 1.0]], dtype=np.float32)).save(path)
    np.testing.assert_array_equal(read_image(path)[0, :, 2], np.float32([0, 0.25, 1]))
    for values, word in (([0.5, np.nan], "NaN"), ([0.0, 255.0], "[0, 255]"), ([np.inf, 0.0], "infinite")):
        Image.fromarray(np.array([values], dtype=np.float32)).save(path)
        message = error_of(path)
        assert word in message
        assert "f.tif" in message


def test_32_bit_integer_tiff_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 70000]], dtype=np.int32)).save(tmp_path / "i.tif")
    assert "white level" in error_of(tmp_path / "i.tif")


def test_arrays_of_every_accepted_type() -> None:
    expected = ramp().astype(np.float32) / 255
    for array in (ramp(), expected, expected.astype(np.float64), ramp().astype(np.uint16) * 257):
        np.testing.assert_allclose(read_image(array), expected, atol=1e-6)
    np.testing.assert_array_equal(read_image(ramp()[..., 0]), np.repeat(expected[..., :1], 3, 2))
    np.testing.assert_array_equal(read_image(ramp()[..., :1]), np.repeat(expected[..., :1], 3, 2))
    np.testing.assert_array_equal(read_image(np.eye(2, dtype=bool))[..., 0], np.eye(2))
    np.testing.assert_array_equal(read_image(Image.fromarray(ramp())), expected)


def test_the_array_given_is_not_changed() -> None:
    given_array = np.full((2, 2, 3), 0.5, dtype=np.float32)
    read_image(given_array)[:] = 0
    assert (given_array == 0.5).all()


def test_tensors_are_channels_first() -> None:
    torch = pytest.importorskip("torch")
    expected = ramp().astype(np.float32) / 255
    tensor = torch.from_numpy(ramp()).permute(2, 0, 1)
    np.testing.assert_array_equal(read_image(tensor), expected)
    np.testing.assert_allclose(read_image((tensor / 255).bfloat16().requires_grad_()), expected, atol=1e-2)
    np.testing.assert_array_equal(read_image(tensor[0])[..., 0], expected[..., 0])
    assert "(1, 3, 6, 5)" in error_of(tensor[None])


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


def test_a_jpeg_with_a_preview_reads_as_its_first_picture(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8))
    first.save(tmp_path / "m.jpg", "MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(tmp_path / "m.jpg")[0, 0], [1, 0, 0], atol=0.02)


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


def test_list_images_is_recursive_sorted_and_skips_hidden(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "sub/c.tif", ".hidden.png", ".cache/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [p.relative_to(tmp_path).as_posix() for p in list_images([tmp_path])]
    assert found == ["a.jpg", "b.PNG", "sub/c.tif"]
    assert list_images([tmp_path / "gone.png", tmp_path / "notes.txt"]) == [
        tmp_path / "gone.png",
        tmp_path / "notes.txt",
    ]
    assert list_images([tmp_path / "a.jpg", tmp_path])[0] == tmp_path / "a.jpg"
    assert len(list_images([tmp_path / "a.jpg", tmp_path])) == 3


def test_list_images_names_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="no image in this folder"):
        list_images([tmp_path])


def test_several_images_are_told_to_come_one_by_one() -> None:
    with pytest.raises(PixelClusterError, match=r"got list; .* where there are several, call this for each"):
        read_image([np.zeros((2, 2))])  # type: ignore[arg-type]
