from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from pixelcluster.data.svhn import read_svhn
from pixelcluster.errors import PixelClusterError

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def svhn(root, name, number, digit):
    images = pixels(32, 32, 3, number)
    savemat(root / f"{name}_32x32.mat", {"X": images, "y": np.full((number, 1), digit, np.uint8)})
    return images


def test_svhn_fits_on_train_and_extra(tmp_path):
    parts = [svhn(tmp_path, *part) for part in (("train", 3, 10), ("extra", 2, 7), ("test", 4, 1))]
    data = read_svhn(tmp_path)
    assert data.train.shape == (5, 32, 32, 3)
    assert np.array_equal(data.train[4], parts[1][..., 1])
    assert data.train_labels.tolist() == [0, 0, 0, 7, 7]
    assert len(read_svhn(tmp_path, extra=False).train) == 3
    (tmp_path / "extra_32x32.mat").unlink()
    with pytest.raises(PixelClusterError, match=r"no extra_32x32\.mat.*svhn-train"):
        read_svhn(tmp_path)


def test_svhn_of_another_kind_is_refused(tmp_path):
    for name in ("train", "test"):
        svhn(tmp_path, name, 2, 3)
    savemat(tmp_path / "train_32x32.mat", {"X": pixels(8, 8, 3, 2), "y": np.ones((2, 1))})
    with pytest.raises(PixelClusterError, match=r"found X \(8, 8, 3, 2\) uint8, y \(2, 1\)"):
        read_svhn(tmp_path, extra=False)
    savemat(tmp_path / "train_32x32.mat", {"X": RNG.random((32, 32, 3, 2)), "y": np.ones((2, 1))})
    with pytest.raises(PixelClusterError, match=r"found X \(32, 32, 3, 2\) float64"):
        read_svhn(tmp_path, extra=False)
    (tmp_path / "train_32x32.mat").write_bytes(b"<html>not found</html>" * 20)
    with pytest.raises(PixelClusterError, match="cannot be read as a"):
        read_svhn(tmp_path, extra=False)
