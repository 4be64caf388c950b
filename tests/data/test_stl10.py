from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.data.stl10 import read_stl10
from pixelcluster.errors import PixelClusterError

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("folder", [".", "stl10_binary"])
def test_stl10_is_stored_by_columns(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    images = {"train": pixels(2, 96, 96, 3), "test": pixels(3, 96, 96, 3), "unlabeled": pixels(4, 96, 96, 3)}
    for name, own in images.items():
        own.transpose(0, 3, 2, 1).tofile(tmp_path / folder / f"{name}_X.bin")
    np.array([1, 10], np.uint8).tofile(tmp_path / folder / "train_y.bin")
    np.array([2, 3, 4], np.uint8).tofile(tmp_path / folder / "test_y.bin")
    data = read_stl10(tmp_path)
    assert np.array_equal(data.train, images["train"])
    assert data.train_labels.tolist() == [0, 9]
    assert data.test_labels.tolist() == [1, 2, 3]
    more = read_stl10(tmp_path, unlabelled=True)
    assert np.array_equal(more.train[2:], images["unlabeled"])
    assert more.train_labels is None
    (tmp_path / folder / "test_X.bin").write_bytes(b"x" * 100)
    with pytest.raises(PixelClusterError, match="100 bytes are not a whole number"):
        read_stl10(tmp_path)
    (tmp_path / folder / "test_X.bin").unlink()
    with pytest.raises(PixelClusterError, match=r"no test_X\.bin"):
        read_stl10(tmp_path)
