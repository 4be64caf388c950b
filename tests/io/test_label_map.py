from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.io
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pixelcluster.cli.main import cli
from pixelcluster.errors import PixelClusterError
from pixelcluster.io import label_map
from pixelcluster.io.decode import MAX_PIXELS, load_image
from pixelcluster.io.describe import describe
from pixelcluster.io.label_map import (
    encode_label_map,
    label_format,
    palette_with_ids,
    read_label_file,
    read_label_map,
)
from pixelcluster.render.convert import convert
from pixelcluster.render.palette import categorical


def every_id(n_ids: int) -> np.ndarray:
    width = int(np.ceil(np.sqrt(n_ids)))
    return (np.arange(width * width) % n_ids).reshape(width, width).astype(np.int32)


@pytest.mark.parametrize("n_ids", [1, 2, 3, 5, 16, 17, 100, 256])
def test_indexed_png_gives_ids_in_three_readers(tmp_path: Path, n_ids: int) -> None:
    path, ids = tmp_path / "m.png", every_id(n_ids)
    encode_label_map(path, ids, categorical(n_ids), "png")
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), ids)
    # The two lines of the documentation.
    np.testing.assert_array_equal(skimage.io.imread(path) @ (1, 6, 36) % 256, ids)
    np.testing.assert_array_equal(cv2.imread(str(path)) @ (36, 6, 1) % 256, ids)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED) @ (36, 6, 1) % 256, ids)
    np.testing.assert_array_equal(read_label_map(path), ids)


@pytest.mark.parametrize(
    ("n_ids", "suffix", "dtype"),
    [
        (257, "png", np.uint16),
        (65536, "png", np.uint16),
        (5, "tif", np.uint8),
        (256, "tif", np.uint8),
        (257, "tif", np.uint16),
        (65537, "tif", np.int32),
    ],
)
def test_grey_files_give_ids_plainly_in_three_readers(
    tmp_path: Path, n_ids: int, suffix: str, dtype: type
) -> None:
    path, ids = tmp_path / f"m.{suffix}", every_id(n_ids)
    encode_label_map(path, ids, categorical(n_ids), label_format(path))
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), ids)
    by_opencv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    by_skimage = skimage.io.imread(path)
    assert by_opencv.dtype == by_skimage.dtype == dtype
    np.testing.assert_array_equal(by_opencv, ids)
    np.testing.assert_array_equal(by_skimage, ids)
    np.testing.assert_array_equal(read_label_map(path), ids)


def test_the_depth_follows_k_not_the_ids_present(tmp_path: Path) -> None:
    encode_label_map(tmp_path / "m.png", every_id(3), categorical(300), "png")
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode.startswith("I;16")


def test_npz_round_trip(tmp_path: Path) -> None:
    path, ids = tmp_path / "m.npz", every_id(4)
    p, entropy = np.full((4, 2, 2), 0.25, dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    encode_label_map(path, ids, categorical(4), "npz", probabilities=p, entropy=entropy)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays) == {"label_map", "palette", "probabilities", "entropy"}
        np.testing.assert_array_equal(arrays["probabilities"], p)
    np.testing.assert_array_equal(read_label_map(path), ids)
    np.testing.assert_array_equal(read_label_file(path).palette, categorical(4))


def test_more_ids_than_a_png_holds(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match=r"65537 .* \.tif"):
        encode_label_map(tmp_path / "m.png", every_id(65537), categorical(4), "png")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=256))
def test_any_palette_can_carry_ids(colours: list[tuple[int, int, int]]) -> None:
    wanted = np.array(colours, dtype=np.uint8)
    carried = palette_with_ids(wanted)
    np.testing.assert_array_equal(carried @ (1, 6, 36) % 256, np.arange(len(wanted)))
    assert np.abs(carried.astype(int) - wanted.clip(3, 252)).max() <= 3


def test_embedded_palette_is_read_back(tmp_path: Path) -> None:
    encode_label_map(tmp_path / "m.png", every_id(5), categorical(5), "png")
    np.testing.assert_array_equal(
        read_label_file(tmp_path / "m.png").palette, palette_with_ids(categorical(5))
    )
    encode_label_map(tmp_path / "m.tif", every_id(5), categorical(5), "tif")
    assert read_label_file(tmp_path / "m.tif").palette is None


def test_what_is_no_label_map_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "float.npz", label_map=np.zeros((3, 3)))
    np.savez(tmp_path / "big.npz", label_map=np.zeros((300, 300), dtype=np.int32))
    np.savez(tmp_path / "pickled.npz", label_map=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"label_map": 1}))
    Image.fromarray(np.array([[-1, 2]], dtype=np.int32)).save(tmp_path / "negative.tif")
    for name, word in [
        ("photo.png", "RGB picture"),
        ("other.npz", "no array named label_map"),
        ("float.npz", "float64"),
        ("big.npz", "megapixels"),
        ("pickled.npz", "object"),
        ("text.npz", "cannot be read"),
        ("pickle.npz", "cannot be read"),
        ("gone.npz", "no such file"),
        ("negative.tif", "negative id -1"),
    ]:
        with pytest.raises(PixelClusterError, match=word) as caught:
            read_label_map(tmp_path / name, max_pixels=10_000)
        assert "\n" not in str(caught.value)


def test_label_format_by_suffix() -> None:
    assert [label_format(f"x.{s}") for s in ("png", "TIF", "tiff", "npz")] == ["png", "tif", "tif", "npz"]
    with pytest.raises(PixelClusterError, match=r"\.jpg"):
        label_format("x.jpg")


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.npz", "wide.png"])
def test_names_come_back(tmp_path, name) -> None:
    n_ids = 300 if name == "wide.png" else 3
    labels = np.arange(n_ids, dtype=np.int32).reshape(1, -1)
    names = ("sky", "", "Straße", *[""] * (n_ids - 3))
    path = tmp_path / name
    palette = np.zeros((n_ids, 3), np.uint8)
    encode_label_map(path, labels, palette, path.suffix[1:], names=names)
    assert read_label_file(path).names == names
    encode_label_map(path, labels, palette, path.suffix[1:])
    assert read_label_file(path).names == ()
    np.testing.assert_array_equal(read_label_map(path), labels)


def save_npz(path: Path, **extra: np.ndarray) -> Path:
    np.savez_compressed(path, **{"label_map": np.zeros((4, 5), np.int32), **extra})
    return path


def test_hostile_arrays_beside_a_label_map_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for extra, words in [
        ({"palette": np.zeros((40_000_000, 3), np.uint8)}, "palette is uint8"),  # swells from a few kB
        ({"palette": np.zeros((3, 4), np.uint8)}, "wanted uint8"),
        ({"palette": np.array([{}])}, "palette is object"),
    ]:
        with pytest.raises(PixelClusterError, match=words):
            read_label_file(save_npz(path, **extra))
    for extra, words in [
        ({"names": np.array(["a"] * 3, "<U2000000")}, "names is"),
        ({"names": np.zeros(70_000, "<U1")}, "at most 65536 clusters"),
        ({"names": np.arange(3)}, "names is int64"),
        ({"names": np.array(None)}, "names is object"),
    ]:
        with pytest.raises(PixelClusterError, match=words):
            read_label_file(save_npz(path, **extra))
    content = save_npz(path, palette=np.arange(30, dtype=np.uint8).reshape(10, 3)).read_bytes()
    place = content.index(b"palette.npy") + 60
    path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    with pytest.raises(PixelClusterError, match="cannot be read as NPZ"):
        read_label_file(path)


def test_ids_that_32_bits_do_not_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="holds the id 4294967301"):
        read_label_map(save_npz(tmp_path / "x.npz", label_map=np.array([[1, 2**32 + 5]])))
    with pytest.raises(PixelClusterError, match="negative"):
        read_label_map(save_npz(tmp_path / "x.npz", label_map=np.array([[1, -5]])))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_label_map_comes_back_from_every_format(tmp_path: Path, data: st.DataObject) -> None:
    file_format = data.draw(st.sampled_from(["png", "tif", "npz"]))
    largest = data.draw(
        st.sampled_from([1, 2, 16, 200, 255, 256, 65_535] + [70_000] * (file_format != "png"))
    )
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    labels = data.draw(arrays(np.int64, shape, elements=st.integers(0, largest)))
    n_colours = min(int(labels.max()) + 1, 256)
    palette = np.arange(3 * n_colours).astype(np.uint8).reshape(-1, 3)
    path = tmp_path / f"x.{file_format}"
    encode_label_map(path, labels, palette, file_format)
    back = read_label_map(path)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, labels)


def test_names_of_no_bytes_are_refused_by_their_header(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "x.npz")
    member = io.BytesIO()
    header = {"descr": "<U0", "fortran_order": False, "shape": (150_000_000,)}
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("names.npy", member.getvalue())
    with pytest.raises(PixelClusterError, match="names is <U0"):
        read_label_file(path)


@pytest.mark.parametrize(
    ("text", "nodata"),
    [("255", 255), (" 7\0", 7), ("9" * 5000, None), (str(2**31), None), ("-1", None), ("nan", None)],
)
def test_any_nodata_tag_is_an_id_or_none(tmp_path: Path, text: str, nodata: int | None) -> None:
    image = Image.fromarray(np.zeros((3, 4), np.uint8))
    image.save(tmp_path / "x.tif", tiffinfo={42113: text})
    assert read_label_file(tmp_path / "x.tif").nodata == nodata


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.npz"])
def test_names_of_a_file_are_fit_for_a_terminal(tmp_path: Path, name: str) -> None:
    hostile = ("\x1b[2Jsky", "a\nb\a", "x" * 5000, "fine")
    palette, labels = categorical(4), np.arange(4, dtype=np.int32)[None]
    encode_label_map(tmp_path / name, labels, palette, label_format(name), names=hostile)
    names = read_label_file(tmp_path / name).names
    assert names == ("\\x1b[2Jsky", "a\\nb\\x07", "x" * 60, "fine")
    shown = CliRunner().invoke(cli, ["info", str(tmp_path / name)]).stdout
    assert "fine" in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_a_label_map_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, times = tmp_path / "x.tif", []
    encode_label_map(path, np.zeros((3, 4), np.int32), categorical(2), "tif", names=("a", "b"))
    monkeypatch.setattr(label_map, "load_image", lambda *a, **k: times.append(k) or load_image(*a, **k))
    describe(path)
    assert times == [{"max_pixels": MAX_PIXELS}]
    convert([path], tmp_path / "out", "masks", max_pixels=1000)
    assert times[1:] == [{"max_pixels": 1000}]
