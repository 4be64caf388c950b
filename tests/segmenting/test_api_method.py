"""`pixelcluster.segment` with the real single-image method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from pixelcluster.segmenting.api import segment

pytest.importorskip("pixelcluster.segmenting.alone.single")


def test_flat_quadrants_are_found(quadrants: np.ndarray) -> None:
    big = quadrants.repeat(2, axis=0).repeat(2, axis=1)
    result = segment(big, 4, probabilities=True)
    truth = np.unique(big.reshape(-1, 3), axis=0, return_inverse=True)[1].reshape(80, 120)
    assert adjusted_rand_score(truth.ravel(), result.label_map.ravel()) > 0.95
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-4)


@pytest.mark.parametrize("k", [None, 2, 5])
@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (1, 5000), (5000, 1), (3, 3), (17, 31)])
def test_any_shape(shape: tuple[int, int], k: int | None, rng: np.random.Generator) -> None:
    image = rng.random((*shape, 3), dtype=np.float32)
    if k is not None and k > shape[0] * shape[1]:
        pytest.skip("fewer pixels than clusters is tested elsewhere")
    result = segment(image, k, probabilities=True)
    assert result.label_map.shape == shape
    assert result.label_map.max() < result.n_clusters


def test_same_seed_same_result(tmp_path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "x.png")
    first, second = (segment(tmp_path / "x.png", 3, seed=2).label_map for _ in range(2))
    np.testing.assert_array_equal(first, second)
