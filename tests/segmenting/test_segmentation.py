from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_map import read_label_map
from pixelcluster.segmenting.segmentation import Segmentation, entropy_of


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((40, 60), dtype=np.int64)
    labels[:20, 30:], labels[20:, :30] = 1, 3
    return labels


@pytest.fixture
def result(quadrants: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Segmentation:
    p = rng.dirichlet(np.ones(4), (40, 60)).transpose(2, 0, 1).astype(np.float32)
    return Segmentation.build(quadrants, labels, 4, probabilities=p, info={"seed": 3})


def test_build_fills_in_palette_and_entropy(result: Segmentation) -> None:
    assert result.label_map.dtype == np.int32
    assert result.palette.shape == (4, 3)
    assert result.info == {"seed": 3}
    assert result.probabilities is not None
    np.testing.assert_allclose(result.entropy, scipy.stats.entropy(result.probabilities, axis=0), rtol=1e-4)


def test_entropy_of_certainty_and_of_none() -> None:
    p = np.array([[[1.0, 0.25]], [[0, 0.25]], [[0, 0.25]], [[0, 0.25]]], dtype=np.float32)
    np.testing.assert_allclose(entropy_of(p), [[0, np.log(4)]], rtol=1e-6)


def test_table_by_hand(result: Segmentation) -> None:
    rows = result.table()
    assert [row.pixels for row in rows] == [1200, 600, 0, 600]
    assert [row.share for row in rows] == [0.5, 0.25, 0, 0.25]
    assert [row.mean_colour for row in rows] == ["#ff8080", "#00ff00", "", "#0000ff"]


def test_overlay_sizes(result: Segmentation) -> None:
    assert result.overlay(legend=False).size == (60, 40)
    assert result.overlay().height > 40
    with pytest.raises(PixelClusterError, match="opacity"):
        result.overlay(opacity=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "npz"])
def test_save_by_suffix(result: Segmentation, labels: np.ndarray, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m.{suffix}"
    result.save(path)
    np.testing.assert_array_equal(read_label_map(path), labels)
    with pytest.raises(PixelClusterError, match="exists"):
        result.save(path)
    result.save(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]


def test_save_to_other_suffixes(result: Segmentation, tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match=r"\.jpg"):
        result.save(tmp_path / "m.jpg")
    assert not list(tmp_path.iterdir())


def test_parts_that_do_not_belong_together(quadrants: np.ndarray, labels: np.ndarray) -> None:
    for image, ids, k, p in [
        (quadrants[:5], labels, 4, None),
        (quadrants, labels, 3, None),
        (quadrants, labels - 1, 4, None),
        (quadrants, labels, 4, np.ones((3, 40, 60), dtype=np.float32)),
    ]:
        with pytest.raises(PixelClusterError):
            Segmentation.build(image, ids, k, probabilities=p)


def test_one_pixel(tmp_path: Path) -> None:
    result = Segmentation.build(np.ones((1, 1, 3), dtype=np.float32), np.zeros((1, 1), dtype=np.int32), 1)
    result.save(tmp_path / "m.png")
    assert read_label_map(tmp_path / "m.png").tolist() == [[0]]
    assert isinstance(result.overlay(), Image.Image)


def test_it_is_one_line_and_in_notebooks_a_picture(result: Segmentation) -> None:
    assert repr(result) == "Segmentation(60 x 40, 4 clusters: 50, 25, 0, 25 %)"
    many = Segmentation.build(np.zeros((1, 40, 3), np.float32), np.arange(40)[None], 40)
    assert repr(many) == f"Segmentation(40 x 1, 40 clusters: {', '.join(12 * ['2'])}, ... %)"
    with Image.open(BytesIO(result._repr_png_())) as picture:
        assert (picture.format, picture.size) == ("PNG", result.overlay().size)


def test_save_makes_the_folder(result: Segmentation, tmp_path: Path) -> None:
    result.save(tmp_path / "new" / "er" / "m.npz")
    with np.load(tmp_path / "new" / "er" / "m.npz") as arrays:
        assert set(arrays) == {"label_map", "palette", "probabilities", "entropy"}
        assert arrays["entropy"].dtype == np.float32
