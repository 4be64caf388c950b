from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.read import list_images, read_image


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


def test_16_bit_grey_keeps_its_bits_where_one_value_is_transparent(tmp_path: Path) -> None:
    grey = np.array([[0, 1, 257], [30000, 40000, 40001]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "t.png", transparency=40000)
    with pytest.warns(PixelClusterWarning, match=r"t\.png: transparent pixels are laid over white"):
        image = read_image(tmp_path / "t.png")
    np.testing.assert_allclose(image[..., 1], np.where(grey == 40000, 1, grey / 65535), atol=1e-7)
    Image.fromarray(grey).save(tmp_path / "t.png", transparency=5)  # no pixel has it: no warning
    np.testing.assert_allclose(read_image(tmp_path / "t.png")[..., 2], grey / 65535, atol=1e-7)


def test_a_transparent_value_does_not_count_for_the_white_of_16_bits(tmp_path: Path) -> None:
    grey = np.array([[0, 4000, 65535]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "t.png", transparency=65535)
    with (
        pytest.warns(PixelClusterWarning, match="transparent"),
        pytest.warns(PixelClusterWarning, match=r"reach 4000 of 65535, so 4095 \("),
    ):
        image = read_image(tmp_path / "t.png")
    np.testing.assert_allclose(image[0, :, 0], [0, 4000 / 4095, 1], atol=1e-6)


def test_grey_with_premultiplied_alpha(tmp_path: Path) -> None:
    straight = Image.fromarray(np.array([[[0, 255], [100, 255], [0, 51]]], dtype=np.uint8))
    with pytest.warns(PixelClusterWarning, match="transparent"):
        image = read_image(straight.convert("La"))
    np.testing.assert_allclose(image[0, :, 0], [0, 100 / 255, 0.8], atol=1e-6)


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


def test_float_tiff_wants_the_unit_range(tmp_path: Path) -> None:
    path = tmp_path / "f.tif"
    Image.fromarray(np.array([[0.0, 0.25, 1.0]], dtype=np.float32)).save(path)
    np.testing.assert_array_equal(read_image(path)[0, :, 2], np.float32([0, 0.25, 1]))
    for values, word in (([0.5, np.nan], "NaN"), ([0.0, 255.0], "[0, 255]"), ([np.inf, 0.0], "infinite")):
        Image.fromarray(np.array([values], dtype=np.float32)).save(path)
        message = error_of(path)
        assert word in message
        assert "f.tif" in message


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


def test_a_jpeg_with_a_preview_reads_as_its_first_picture(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8))
    first.save(tmp_path / "m.jpg", "MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(tmp_path / "m.jpg")[0, 0], [1, 0, 0], atol=0.02)


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


def test_several_images_are_told_to_come_one_by_one() -> None:
    with pytest.raises(PixelClusterError, match=r"got list; .* where there are several, call this for each"):
        read_image([np.zeros((2, 2))])  # type: ignore[arg-type]
