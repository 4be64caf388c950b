from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def cars() -> np.ndarray:
    """(120, 200, 3): two red boxes on a road, sky above; noisy."""
    image = np.zeros((120, 200, 3), dtype=np.float32)
    image[:40], image[40:] = (0.5, 0.6, 0.8), (0.45, 0.45, 0.45)
    image[60:90, 20:60] = image[70:100, 120:170] = (0.5, 0.38, 0.36)
    noise = np.random.default_rng(0).normal(0, 0.02, image.shape)
    return (image + noise).clip(0, 1).astype(np.float32)


def strokes(*boxes: tuple[int, slice, slice]) -> np.ndarray:
    marks = np.full((120, 200), -1, dtype=np.int32)
    for cluster, rows, columns in boxes:
        marks[rows, columns] = cluster
    return marks
