from __future__ import annotations

import numpy as np


def planted(
    n: int = 240, height: int = 12, width: int = 12, channels: int = 1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Three prototypes, plainly apart, with noise: images (n, H, W, C) uint8 and their clusters (n,)."""
    prototypes = np.random.default_rng(5).integers(0, 2, (3, height, width, channels)) * 180 + 30
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = prototypes[labels] + rng.normal(0, 20, (n, height, width, channels))
    return images.clip(0, 255).astype(np.uint8), labels


def agreement(found: np.ndarray, labels: np.ndarray) -> float:
    """ACC of three clusters."""
    from pixelcluster.metrics.matching import Confusion

    confusion = Confusion(3, 3)
    confusion.update(found, labels)
    return confusion.acc
