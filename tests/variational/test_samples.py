from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.variational.samples import sample_rows, write_samples


@pytest.mark.parametrize("channels", [1, 3])
def test_every_sample_stands_in_its_row_and_column(channels):
    samples = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 6, channels), dtype=np.uint8)
    sheet = np.asarray(sample_rows(samples)).reshape(3 * 7 + 2, 4 * 8 + 2, channels)
    for k in range(3):
        for i in range(4):
            top, left = 2 + 7 * k, 2 + 8 * i
            assert np.array_equal(sheet[top : top + 5, left : left + 6], samples[k, i])
    assert (sheet[:2] == 255).all()
    assert (sheet[7:9] == 255).all()


def test_the_picture_is_written_and_replaced(tmp_path):
    for n_clusters in (2, 4):
        write_samples(tmp_path / "rows.png", np.zeros((n_clusters, 3, 4, 4, 1), np.uint8))
        with Image.open(tmp_path / "rows.png") as picture:
            assert picture.size == (3 * 6 + 2, n_clusters * 6 + 2)
