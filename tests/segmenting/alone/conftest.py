from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def disc() -> tuple[np.ndarray, np.ndarray]:
    """A noisy orange disc on noisy blue, (90, 120, 3), and its mask."""
    y, x = np.mgrid[:90, :120]
    mask = ((y - 45) ** 2 + (x - 60) ** 2 < 25**2).astype(np.int64)
    colours = np.array([[0.2, 0.3, 0.7], [0.8, 0.5, 0.1]])
    noise = np.random.default_rng(0).normal(0, 0.04, (90, 120, 3))
    return np.clip(colours[mask] + noise, 0, 1).astype(np.float32), mask
