from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def shapes() -> tuple[np.ndarray, np.ndarray]:
    """Upright and lying bars and rings, off the middle, with noise: (240, 12, 12, 1) uint8, and labels."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:12, :12] - 5.5
    images, labels = [], rng.permutation(np.repeat(np.arange(3), 80))
    for label in labels:
        y, x = rows - rng.uniform(-1, 1), columns - rng.uniform(-1, 1)
        radius = np.hypot(y, x)
        drawn = (np.abs(x) < 1.2) & (np.abs(y) < 4.5), (np.abs(y) < 1.2) & (np.abs(x) < 4.5)
        inked = (*drawn, np.abs(radius - 3.5) < 1)[label]
        images.append(np.clip(200 * inked + rng.normal(20, 15, inked.shape), 0, 255))
    return np.stack(images)[..., None].astype(np.uint8), labels
