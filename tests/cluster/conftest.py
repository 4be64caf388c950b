"""Small planted image sets: a bar, a disc and a cross, moved, scaled and noisy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pixelcluster.cluster.settings import ImageSettings

SIDE = 16


def planted(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (N, 16, 16, 1) uint8 of three shapes in turn, and which shape each is."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, SIDE, SIDE, 1), np.uint8)
    labels = np.arange(count) % 3
    for image, label in zip(images, labels, strict=True):
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        if label == 0:
            cv2.line(canvas, (8, 2), (8, 13), 255, 2)
        elif label == 1:
            cv2.circle(canvas, (8, 8), 4, 255, -1)
        else:
            cv2.line(canvas, (3, 3), (12, 12), 255, 2)
            cv2.line(canvas, (12, 3), (3, 12), 255, 2)
        matrix = cv2.getRotationMatrix2D((8, 8), float(rng.normal(0, 6)), float(rng.uniform(0.8, 1.15)))
        matrix[:, 2] += rng.normal(0, 0.6, 2)
        moved = cv2.warpAffine(canvas, matrix, (SIDE, SIDE))
        image[..., 0] = np.clip(moved + rng.normal(0, 6, moved.shape), 0, 255)
    return images, labels


@pytest.fixture(scope="session")
def shapes() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """180 planted images and their shapes."""
    return planted(180)


@pytest.fixture(scope="session")
def quick() -> ImageSettings:
    """Settings that fit the planted images in seconds."""
    return ImageSettings(
        n_clusters=3,
        side=SIDE,
        generator_side=8,
        n_factors=2,
        iterations=60,
        batch_size=32,
        inference_steps=3,
        student_epochs=15,
        langevin_steps=1,
    )
