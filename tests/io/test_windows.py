from __future__ import annotations

import numpy as np

from pixelcluster.io.windows import average_valid, fill_invalid, spread_windows


def test_averages_leave_invalid_pixels_out() -> None:
    values = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    valid = np.array([[True, True, False, False], [True, False, False, True]])
    averaged, seen = average_valid(values * valid[..., None], valid, (1, 2))
    assert seen.tolist() == [[True, False]]
    np.testing.assert_allclose(averaged[0, :, 0], [(0 + 1 + 4) / 3, 0], rtol=1e-6)
    averaged, seen = average_valid(values * valid[..., None], valid, (1, 2), least=0.1)
    assert seen.all()
    assert averaged[0, 1, 0] == 7


def test_filled_pixels_copy_their_nearest_neighbour() -> None:
    values = np.arange(5, dtype=np.float32)[None, :, None]
    valid = np.array([[False, True, False, False, True]])
    np.testing.assert_array_equal(fill_invalid(values, valid)[0, :, 0], [1, 1, 1, 4, 4])


def test_spread_windows_stay_inside() -> None:
    for shape in ((1, 1), (5, 3000), (1000, 700)):
        for window in spread_windows(*shape):
            assert all(0 <= part.start < part.stop <= n for part, n in zip(window, shape, strict=True))
    assert len(spread_windows(5, 3000)) == 8
