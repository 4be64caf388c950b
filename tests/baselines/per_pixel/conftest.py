from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pixelcluster.baselines.base import Baseline
from pixelcluster.metrics.matching import Confusion


@pytest.fixture
def found():
    """Share of pixels on the matched cells when a fitted method labels images of known labels."""

    def score(method: Baseline, images: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
        confusion = Confusion(method.n_clusters, int(max(label.max() for label in labels)) + 1)
        for image, label in zip(images, labels, strict=True):
            confusion.update(method.predict(image), label)
        return confusion.acc

    return score


COLOURS = np.array([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.1, 0.2, 0.9]])


@pytest.fixture(scope="session")
def blocks() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Six images of 128 px in four blocks of red, striped green or blue, and their labels."""
    rng = np.random.default_rng(0)
    stripes = 0.15 * np.sin(np.arange(128) * np.pi / 2 + 0.5)[None, :, None]
    images, labels = [], []
    for _ in range(6):
        label = np.kron(rng.integers(0, 3, (2, 2)), np.ones((64, 64), int))
        colour = COLOURS[label] + (label == 1)[..., None] * stripes + rng.normal(0, 0.03, (128, 128, 3))
        images.append(colour.clip(0, 1).astype(np.float32))
        labels.append(label.astype(np.uint8))
    return images, labels


@pytest.fixture(scope="session")
def aerial() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Six images of 128 px in blocks of colour noise that only infrared tells apart, and their labels."""
    rng = np.random.default_rng(0)
    images, labels = [], []
    for _ in range(6):
        label = np.kron(rng.integers(0, 2, (2, 2)), np.ones((64, 64), int))
        colour = rng.uniform(0.4, 0.6, (128, 128, 3))
        infrared = 0.1 + 0.8 * label + rng.normal(0, 0.03, label.shape)
        images.append(np.concatenate([colour, infrared[..., None]], axis=2).astype(np.float32))
        labels.append(label.astype(np.uint8))
    return images, labels
