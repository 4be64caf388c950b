from __future__ import annotations

import numpy as np
import pytest

COLOURS = np.array([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.1, 0.2, 0.9]], dtype=np.float32)


@pytest.fixture
def planted():
    """Three upright bands of clearly different colours with slight noise, and their labels."""
    truth = np.repeat(np.arange(3), 20)[None].repeat(60, axis=0)
    noise = np.random.default_rng(0).normal(0, 0.01, (60, 60, 3))
    return np.clip(COLOURS[truth] + noise, 0, 1).astype(np.float32), truth
