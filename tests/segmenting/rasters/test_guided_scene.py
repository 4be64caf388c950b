from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.raster import open_raster
from pixelcluster.io.raster_scribbles import open_raster_scribbles
from pixelcluster.segmenting.rasters import raster as raster_module
from pixelcluster.segmenting.rasters.raster import label_alone, label_with_model
from pixelcluster.segmenting.reader import Reader
from tests.rasters import planted, write_scene
from tests.segmenting.rasters.test_raster import CPU, model  # noqa: F401

pytest.importorskip("rasterio")

TRUTH = planted(150, 200)


def strokes(path: Path, truth: np.ndarray, classes: dict[int, int], side: int = 5) -> np.ndarray:
    """Paint one square of each planted class, in its id; returns what was painted, -1 elsewhere."""
    ids = np.zeros(truth.shape, np.uint8)
    for planted_class, name in classes.items():
        inside = [
            (row, column)
            for row in range(0, truth.shape[0] - side, 3)
            for column in range(0, truth.shape[1] - side, 3)
            if (truth[row : row + side, column : column + side] == planted_class).all()
        ]
        row, column = inside[len(inside) // 2]
        ids[row : row + side, column : column + side] = name
    Image.fromarray(ids).save(path)
    return np.where(ids > 0, ids.astype(int), -1)


def collect(shape: tuple[int, int], found) -> np.ndarray:
    labels = np.full(shape, -1)
    for top, left, window, *_ in found.windows:
        labels[top : top + window.shape[0], left : left + window.shape[1]] = window
    return labels


def ask(scene: Path, marks: Path, n_clusters: int | None, **options) -> tuple[np.ndarray, tuple[str, ...]]:
    with open_raster(scene) as raster, open_raster_scribbles(marks, raster, **options) as scribbles:
        found = label_alone(raster, n_clusters, seed=0, scribbles=scribbles)
        return collect(raster.shape, found), found.names


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_scene(tmp_path / "scene.tif", TRUTH)
    return tmp_path / "scene.tif"


def test_clusters_take_the_classes_of_their_strokes(scene: Path, tmp_path: Path, monkeypatch) -> None:
    marks = strokes(tmp_path / "s.png", TRUTH, {0: 2, 1: 7, 2: 1})
    labels, names = ask(scene, tmp_path / "s.png", 4)
    # The cluster without strokes has the smallest free id.
    assert (labels == np.array([2, 7, 1, 0])[TRUTH]).mean() > 0.99
    assert names == ("",) * 8
    assert (labels[marks >= 0] == marks[marks >= 0]).all()
    monkeypatch.setattr(raster_module, "_WINDOW", 32)
    np.testing.assert_array_equal(ask(scene, tmp_path / "s.png", 4)[0], labels)


def test_clusters_of_one_class_become_one(scene: Path, tmp_path: Path) -> None:
    strokes(tmp_path / "s.png", TRUTH, {0: 1, 1: 1, 2: 2})
    labels, _ = ask(scene, tmp_path / "s.png", 4)
    assert (labels == np.array([1, 1, 2, 0])[TRUTH]).mean() > 0.99


def test_a_class_that_wins_no_cluster_is_carved_out(tmp_path: Path) -> None:
    truth = np.where(TRUTH == 3, 0, TRUTH)
    rows, columns = np.mgrid[:150, :200]
    truth[(rows % 40 < 7) & (columns % 50 < 7)] = 3  # rare: a mixture of three has no component for it
    write_scene(tmp_path / "s.tif", truth)
    marks = strokes(tmp_path / "s.png", truth, {3: 9})
    assert (marks == 9).sum() == 25
    rare = truth == 3
    for k in (None, 6):
        labels, names = ask(tmp_path / "s.tif", tmp_path / "s.png", k)
        assert (labels[rare] == 9).mean() > 0.9  # also where nobody painted
        assert (labels[~rare] == 9).mean() < 0.01
        assert len(names) == 10
    fewer, _ = ask(tmp_path / "s.tif", tmp_path / "s.png", 3)
    assert len(np.unique(fewer)) == 3


def test_strokes_against_the_evidence_stay(scene: Path, tmp_path: Path) -> None:
    marks = strokes(tmp_path / "s.png", TRUTH, {0: 1, 1: 2}, side=9)
    place = np.argwhere(marks == 1)[40]
    ids = np.where(marks > 0, marks, 0).astype(np.uint8)
    ids[place[0], place[1]] = 2  # one pixel of another class in the middle of the first
    Image.fromarray(ids).save(tmp_path / "s.png")
    labels, _ = ask(scene, tmp_path / "s.png", 4)
    assert (labels[ids > 0] == ids[ids > 0]).all()


def test_what_cannot_be_followed(scene: Path, tmp_path: Path) -> None:
    strokes(tmp_path / "s.png", TRUTH, {0: 1, 1: 2, 2: 3})
    with pytest.raises(PixelClusterError, match="name 3 classes, but 2 clusters"):
        ask(scene, tmp_path / "s.png", 2)
    hole = np.zeros(TRUTH.shape, bool)
    hole[:10] = True
    write_scene(tmp_path / "holes.tif", TRUTH, nodata=0, fill=hole)
    Image.fromarray((hole * 5).astype(np.uint8)).save(tmp_path / "off.png")
    with pytest.raises(PixelClusterError, match="no data"):
        ask(tmp_path / "holes.tif", tmp_path / "off.png", 3)
    both = np.where(hole, 9, np.asarray(Image.open(tmp_path / "s.png")))
    Image.fromarray(both.astype(np.uint8)).save(tmp_path / "both.png")
    labels, _ = ask(tmp_path / "holes.tif", tmp_path / "both.png", None)  # 9 lies without data alone
    assert 9 not in labels[~hole]


def test_no_more_than_a_window_is_held(scene: Path, tmp_path: Path, monkeypatch) -> None:
    strokes(tmp_path / "s.png", TRUTH, {0: 1, 1: 2})
    monkeypatch.setattr(raster_module, "_WINDOW", 32)
    monkeypatch.setattr("pixelcluster.io.raster_scribbles._SIDE", 32)
    sizes = []
    with (
        open_raster(scene) as raster,
        open_raster_scribbles(tmp_path / "s.png", raster) as scribbles,
    ):

        def read(rows: slice, columns: slice) -> np.ndarray:
            sizes.append((rows.stop - rows.start, columns.stop - columns.start))
            return scribbles.read(rows, columns)

        watched = replace(scribbles, read=read)
        collect(raster.shape, label_alone(raster, 4, seed=0, scribbles=watched))
    assert max(max(size) for size in sizes) <= 32 + 2 * 44


def test_a_model_follows_strokes(tmp_path: Path, model) -> None:  # noqa: F811
    from tests.segmenting.rasters.test_raster import grey_raster
    from tests.synthetic import textures

    image, truth = (part[0] for part in textures(1, side=200, seed=5))
    grey_raster(tmp_path / "t.tif", image)
    with open_raster(tmp_path / "t.tif") as raster:
        plain = collect(raster.shape, label_with_model(raster, Reader(model, "exact", 0, CPU)))
    wrong = 1 if (plain[5:60, 5:60] == 1).mean() < 0.5 else 2
    ids = np.zeros(truth.shape, np.uint8)
    ids[5:60:2, 5:60] = wrong
    Image.fromarray(ids).save(tmp_path / "s.png")
    with (
        open_raster(tmp_path / "t.tif") as raster,
        open_raster_scribbles(tmp_path / "s.png", raster, names=("", "", "")) as scribbles,
    ):
        found = label_with_model(raster, Reader(model, "exact", 0, CPU), scribbles=scribbles)
        labels = collect(raster.shape, found)
    assert (labels[5:60:2, 5:60] == wrong).all()
    between = (slice(6, 59, 2), slice(5, 60))
    assert (labels[between] == wrong).mean() > (plain[between] == wrong).mean() + 0.3
    assert (labels[120:] == plain[120:]).mean() > 0.97
