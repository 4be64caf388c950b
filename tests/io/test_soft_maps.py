from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from pixelcluster.io.soft_maps import encode_entropy, encode_probabilities


def test_entropy_scale_is_the_documented_one(tmp_path: Path) -> None:
    entropy = np.array([[0, math.log(4) / 2, math.log(4)]], dtype=np.float32)
    encode_entropy(tmp_path / "e.png", entropy, 4)
    grey = cv2.imread(str(tmp_path / "e.png"), cv2.IMREAD_UNCHANGED)
    assert grey.dtype == np.uint16
    np.testing.assert_allclose(grey / 65535 * math.log(4), entropy, atol=1e-4)


def test_one_cluster_has_no_entropy(tmp_path: Path) -> None:
    encode_entropy(tmp_path / "e.png", np.zeros((2, 2), dtype=np.float32), 1)
    assert cv2.imread(str(tmp_path / "e.png"), cv2.IMREAD_UNCHANGED).max() == 0


def test_probabilities_round_trip(tmp_path: Path, rng: np.random.Generator) -> None:
    p = rng.random((3, 4, 5), dtype=np.float32)
    encode_probabilities(tmp_path / "p.npz", p)
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["probabilities"], p)
