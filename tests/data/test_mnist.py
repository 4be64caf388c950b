from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

from pixelcluster.data.mnist import FILES, read_idx, read_mnist
from pixelcluster.data.npz import KEYS
from pixelcluster.errors import PixelClusterError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def digits(tmp_path):
    """MNIST's four files with 5 and 3 images of 4 x 6 px."""
    arrays = [pixels(5, 4, 6), np.arange(5, dtype=np.uint8), pixels(3, 4, 6), np.full(3, 9, np.uint8)]
    for name, array in zip(FILES, arrays, strict=True):
        (tmp_path / name).write_bytes(idx(array))
    return tmp_path, arrays


@pytest.mark.parametrize("folder", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files_agree_with_torchvision(digits, folder, packed):
    root, arrays = digits
    wanted = read_sn3_pascalvincent_tensor(str(root / FILES[0])).numpy()
    for name in FILES:
        target = root / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        raw = (root / name).read_bytes()
        (root / name).unlink()
        if packed:
            target.with_name(f"{name}.gz").write_bytes(gzip.compress(raw))
        else:
            target.write_bytes(raw)
    data = read_mnist(root)
    assert np.array_equal(data.train[..., 0], wanted)
    assert np.array_equal(data.test[..., 0], arrays[2])
    assert data.test_labels.tolist() == [9, 9, 9]
    assert torch.from_numpy(data.train).shape == (5, 4, 6, 1)  # warns where the array is read-only


def test_damaged_and_missing_mnist_files_are_named(digits):
    root, _ = digits
    whole = (root / FILES[0]).read_bytes()
    for raw, words in ((whole[:-1], "119 values, its header says 120"), (b"<html>", "not an IDX file")):
        (root / FILES[0]).write_bytes(raw)
        with pytest.raises(PixelClusterError, match=words):
            read_mnist(root)
    (root / "cut.gz").write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(PixelClusterError, match=r"cut\.gz: cannot be read"):
        read_idx(root / "cut.gz")
    (root / FILES[1]).rename(root / "elsewhere")
    (root / FILES[0]).write_bytes(whole)
    with pytest.raises(PixelClusterError, match=f"no {FILES[1]}"):
        read_mnist(root)


def test_an_npz_file_will_do(tmp_path, digits):
    arrays = digits[1]
    (tmp_path / "own").mkdir()
    np.savez(tmp_path / "own/mnist.npz", **dict(zip(KEYS[0], arrays, strict=True)))
    for path in (tmp_path / "own", tmp_path / "own/mnist.npz"):
        data = read_mnist(path)
        assert data.test_labels.tolist() == [9, 9, 9]
        assert data.class_names == tuple("0123456789")


@pytest.mark.skipif(not SHARED.is_dir(), reason="MNIST is not beside the project")
def test_the_whole_of_mnist():
    data = read_mnist(SHARED)
    assert (data.train.shape, data.test.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
