from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.raster import open_raster
from pixelcluster.segmenting.rasters import scene_labels
from pixelcluster.segmenting.rasters.scene import fit_scene, log_evidence
from pixelcluster.segmenting.rasters.scene_labels import (
    SPECK,
    label_window,
    label_windows,
    without_rare,
    without_specks,
)
from tests.rasters import planted, write_scene

pytest.importorskip("rasterio")


def assembled(scene, raster, side: int) -> np.ndarray:
    labels = np.full(raster.shape, -1)
    for top, left, window, values, valid in label_windows(scene, raster, side):
        assert window.shape == valid.shape == values.shape[:2]
        labels[top : top + side, left : left + side] = window
    return labels


def purity(labels: np.ndarray, truth: np.ndarray) -> float:
    table = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(table, (labels.ravel(), truth.ravel()), 1)
    return table.max(1).sum() / labels.size


@pytest.mark.parametrize(("n_bands", "dtype"), [(3, "uint8"), (1, "uint8"), (2, "float32"), (6, "uint16")])
def test_planted_classes_are_found_whatever_the_bands(tmp_path, n_bands, dtype) -> None:
    truth = planted(200, 260)
    write_scene(tmp_path / "s.tif", truth, n_bands, dtype=dtype)
    with open_raster(tmp_path / "s.tif") as raster:
        scene = fit_scene(raster, 4)
        labels = assembled(scene, raster, 1000)
    assert purity(labels, truth) > 0.99  # the small squares too
    areas = np.bincount(labels.ravel())
    assert len(areas) == 4


@pytest.mark.parametrize("side", [32, 50, 128])
def test_windows_leave_no_seam(tmp_path, side) -> None:
    write_scene(tmp_path / "s.tif", planted(150, 170))
    with open_raster(tmp_path / "s.tif") as raster:
        scene = fit_scene(raster, 8)  # noise is split: neighbours decide
        np.testing.assert_array_equal(assembled(scene, raster, side), assembled(scene, raster, 1000))


def test_without_the_margin_there_would_be_seams(tmp_path, monkeypatch) -> None:
    write_scene(tmp_path / "s.tif", planted(150, 170))
    with open_raster(tmp_path / "s.tif") as raster:
        scene = fit_scene(raster, 8)
        whole = assembled(scene, raster, 1000)
        monkeypatch.setattr(scene_labels, "_AROUND", 0)
        assert (assembled(scene, raster, 32) != whole).any()


def test_specks_take_the_label_around_them() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[:, 30:] = 1
    labels[3:7, 3:7] = 2  # 16 pixels
    labels[3:7, 40:45] = 2  # 20
    labels[20, 29:31] = 3  # one pixel on either side of the frontier
    labels[30:32, 5:7] = 4
    valid = np.ones(labels.shape, bool)
    valid[:10, 50:] = False
    labels[2, 55] = 5  # not a label: nothing is there
    known = np.full(labels.shape, -1, np.int32)
    known[30, 5] = 4
    found = without_specks(labels, valid, known)
    wanted = np.zeros_like(labels)
    wanted[:, 30:] = 1
    wanted[3:7, 40:45] = 2
    assert SPECK == 20
    differ = np.argwhere(valid & (found != wanted)).tolist()
    assert [30, 5] in differ  # marked by hand
    assert all(30 <= row < 32 and 5 <= column < 7 for row, column in differ)
    every = without_specks(np.arange(12, dtype=np.int32).reshape(3, 4), np.ones((3, 4), bool))
    np.testing.assert_array_equal(every, np.arange(12).reshape(3, 4))  # nothing larger is there


def test_clusters_of_almost_nothing_are_left_out(tmp_path) -> None:
    write_scene(tmp_path / "s.tif", planted(200, 260))
    with open_raster(tmp_path / "s.tif") as raster:
        scene = fit_scene(raster, 4)
        far = scene.mean.clone()
        far[1] += 300  # a component without a pixel near it
        found = without_rare(replace(scene, mean=far), raster)
        assert found.n_clusters == 3
        torch.testing.assert_close(found.mean, scene.mean[[0, 2, 3]])
        assert found.proportions.sum() == pytest.approx(1)
        assert without_rare(scene, raster).n_clusters == 4


def test_evidence_is_the_tempered_gaussian(tmp_path) -> None:
    write_scene(tmp_path / "s.tif", planted(60, 60))
    with open_raster(tmp_path / "s.tif") as raster:
        scene = fit_scene(raster, 4)
    covariance = torch.linalg.inv(scene.whitener @ scene.whitener.mT)
    points = scene.mean[:, None] + 0.5  # near every mean, none is an outlier of its own
    found = log_evidence(scene, points).softmax(0)
    for k in range(4):
        others = [torch.distributions.MultivariateNormal(scene.mean[j], covariance[j]) for j in range(4)]
        exact = torch.stack([other.log_prob(points[k]) for other in others])
        assert found[:, k, 0].argmax() == exact.argmax()
    one = log_evidence(scene, points[:1])[0, 0, 0] - log_evidence(scene, scene.mean[:1, None])[0, 0, 0]
    normal = torch.distributions.MultivariateNormal(scene.mean[0], covariance[0])
    wanted = 0.3 * (normal.log_prob(points[0, 0]) - normal.log_prob(scene.mean[0]))
    torch.testing.assert_close(one, wanted, atol=1e-4, rtol=1e-3)


def test_invalid_pixels_do_not_count(tmp_path) -> None:
    truth = planted(120, 120)
    hole = np.zeros(truth.shape, bool)
    hole[:60] = True
    write_scene(tmp_path / "s.tif", truth, nodata=0, fill=hole)
    with open_raster(tmp_path / "s.tif") as raster:
        scene = fit_scene(raster, 4)
        labels = assembled(scene, raster, 64)
    assert purity(labels[60:], truth[60:]) > 0.98  # none of the four clusters is spent on black


def test_data_in_a_corner_are_found(tmp_path) -> None:
    truth = planted(700, 700)
    hole = np.ones(truth.shape, bool)
    hole[140:190, 240:290] = False  # between the windows that are sampled
    for dtype in ("uint8", "int16"):
        write_scene(tmp_path / f"{dtype}.tif", truth, dtype=dtype, nodata=0, fill=hole)
        with open_raster(tmp_path / f"{dtype}.tif") as raster:
            scene = fit_scene(raster, 2)
            labels = assembled(scene, raster, 256)
        assert set(np.unique(labels[~hole])) == {0, 1}


def test_same_seed_same_scene(tmp_path) -> None:
    write_scene(tmp_path / "s.tif", planted(90, 90))
    with open_raster(tmp_path / "s.tif") as raster:
        first, second = (fit_scene(raster, 3, seed=2) for _ in range(2))
        torch.testing.assert_close(first.mean, second.mean, rtol=0, atol=0)
        chosen = fit_scene(raster, None)
    assert 2 <= chosen.n_clusters <= 20


def test_fewer_values_than_clusters(tmp_path) -> None:
    import rasterio

    with rasterio.open(
        tmp_path / "flat.tif", "w", driver="GTiff", width=40, height=30, count=1, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(2, 0, 9, 0, -2, 9), nodata=255,
    ) as dataset:  # fmt: skip
        dataset.write(np.full((30, 40), 7, np.uint8), 1)
    with open_raster(tmp_path / "flat.tif") as raster:
        scene = fit_scene(raster, 5)
        assert scene.n_clusters == 1
        values, valid = raster.read(slice(0, 30), slice(0, 40))
        assert not label_window(scene, values, valid).any()


def test_nothing_valid_is_refused(tmp_path) -> None:
    truth = planted(30, 30)
    write_scene(tmp_path / "s.tif", truth, nodata=0, fill=truth >= 0)
    with open_raster(tmp_path / "s.tif") as raster, pytest.raises(PixelClusterError, match="no valid pixel"):
        fit_scene(raster, 3)
