from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.data.labelled import LabelledImage


@pytest.fixture
def crops() -> list[LabelledImage]:
    """Four crops of three colours in other proportions; the lowest rows are not scored."""
    colours = np.array([(0.1, 0.2, 0.9), (0.1, 0.7, 0.1), (0.6, 0.4, 0.2)], np.float32)
    rng = np.random.default_rng(0)
    items = []
    for index in range(4):
        label = np.zeros((32, 32), np.uint8)
        label[8 + 2 * index :], label[20:, :16] = 1, 2
        label[28:] = 255
        noise = rng.normal(0, 0.05, (32, 32, 3)).astype(np.float32)
        image = (colours[label.clip(0, 2)] + noise).clip(0, 1)
        items.append(LabelledImage(str(index), image, label, label != 255))
    return items
