from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.data.npz import KEYS, find_npz, read_npz
from pixelcluster.errors import PixelClusterError

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("keys", KEYS)
def test_either_names(tmp_path, keys):
    arrays = [pixels(5, 4, 6), np.arange(5), pixels(3, 4, 6), np.full((3, 1), 9, np.uint8)]
    np.savez(tmp_path / "a.npz", **dict(zip(keys, arrays, strict=True)))
    data = read_npz(tmp_path / "a.npz")
    assert np.array_equal(data.train[..., 0], arrays[0])
    assert np.array_equal(data.test[..., 0], arrays[2])
    assert data.train_labels.tolist() == [0, 1, 2, 3, 4]
    assert data.test_labels.tolist() == [9, 9, 9]
    assert data.class_names == tuple("0123456789")


def test_a_folder_with_one_file_is_found(tmp_path):
    assert find_npz(tmp_path) is None
    (tmp_path / "a.npz").touch()
    assert find_npz(tmp_path) == find_npz(tmp_path / "a.npz") == tmp_path / "a.npz"
    (tmp_path / "b.npz").touch()
    assert find_npz(tmp_path) is None


def test_missing_labels_and_other_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=pixels(2, 3, 3, 3), x_test=pixels(1, 3, 3, 3))
    data = read_npz(tmp_path / "a.npz")
    assert (data.train_labels, data.class_names) == (None, ())
    np.savez(tmp_path / "a.npz", images=pixels(2, 3, 3))
    with pytest.raises(PixelClusterError, match="wanted the arrays x_train"):
        read_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_train=pixels(2, 3, 3) / 255, x_test=pixels(2, 3, 3))
    with pytest.raises(PixelClusterError, match="got float64 images"):
        read_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_train=pixels(2, 3, 3), y_train=np.zeros(0, int), x_test=pixels(2, 3, 3))
    with pytest.raises(PixelClusterError, match="y_train: no labels, wanted one an image"):
        read_npz(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(PixelClusterError, match="cannot be read as npz"):
        read_npz(tmp_path / "a.npz")
