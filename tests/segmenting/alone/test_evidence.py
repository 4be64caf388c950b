from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.segmenting.alone.evidence import (
    GRID_CELLS,
    brighten,
    brightening,
    grid_shape,
    lab,
    soft_codes,
)


def test_dark_images_are_brightened_to_a_common_median_and_others_left_alone() -> None:
    dark = np.random.default_rng(0).uniform(0.05, 0.3, (90, 120, 3)).astype(np.float32)

    def project(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        return brighten(lab(pixels), brightening(lab(image)[..., 0]))

    before, after = lab(dark), project(dark, dark)
    assert np.median(after[..., 0]) == pytest.approx(30, abs=0.1)
    assert np.array_equal(np.argsort(before[..., 0].ravel()), np.argsort(after[..., 0].ravel()))
    np.testing.assert_array_equal(after[..., 1:], before[..., 1:])
    assert 0 < np.median(project(dark / 10, dark / 10)[..., 0]) < 30  # noise is not blown up without bound
    np.testing.assert_array_equal(project(dark + np.float32(0.5), dark), before)


@pytest.mark.parametrize(
    "shape", [(1, 1), (321, 481), (481, 321), (1, 10_000_000), (30_000, 30_000), (3, 900_000)]
)
def test_grid_is_bounded(shape: tuple[int, int]) -> None:
    rows, columns = grid_shape(*shape)
    assert 1 <= rows <= shape[0]
    assert 1 <= columns <= shape[1]
    assert rows * columns <= 1.1 * GRID_CELLS


def test_soft_codes_sum_to_one_and_peak_at_the_value() -> None:
    codes = soft_codes(np.array([[-5.0, 5.0, 55.0, 400.0]], dtype=np.float32), 0, 120)
    np.testing.assert_allclose(codes.sum(0), 1, rtol=1e-6)
    assert codes.argmax(0).tolist() == [[0, 0, 5, 11]]
