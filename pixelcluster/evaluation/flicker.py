"""How much the labels of a video flicker, and a clip with planted labels and known motion to tell by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixelcluster.io.video import Frame

COLOURS = np.array([[60, 110, 50], [170, 140, 80], [40, 60, 130], [200, 190, 180]])
Labels = NDArray[np.integer]


def planted_clip(
    n_frames: int = 10,
    height: int = 96,
    width: int = 128,
    *,
    noise: float = 16,
    speed: int = 4,
    seed: int = 0,
) -> tuple[list[Frame], NDArray[np.int64]]:
    """Make a clip of three still regions and a disc that moves to the right.

    Args:
        n_frames: T.
        height: H, pixels.
        width: W, pixels.
        noise: standard deviation of the noise of each pixel and channel, levels of 255.
        speed: of the disc, pixels a frame.
        seed: of the noise.

    Returns:
        The frames, and their labels (T, H, W): 0 to 2 still, 3 the disc.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    still = np.where(rows > 0.7 * height, 2, columns + 10 * np.sin(rows / 11) > width / 2)
    labels = np.empty((n_frames, height, width), np.int64)
    frames = []
    for t in range(n_frames):
        disc = (rows - 35) ** 2 + (columns - 20 - speed * t) ** 2 < 15**2
        labels[t] = np.where(disc, 3, still)
        values = COLOURS[labels[t]] + rng.normal(0, noise, (height, width, 3))
        frames.append(Frame(values.clip(0, 255).astype(np.uint8), t))
    return frames, labels


def flicker(labels: Labels, truth: Labels) -> float:
    """Share of pixels whose label changes from frame to frame though the truth does not, (T, H, W) each."""
    still = truth[1:] == truth[:-1]
    return float((labels[1:] != labels[:-1])[still].mean())


def flicker_along(labels: Labels, truth: Labels, speed: int, moving: int = 3) -> float:
    """The same on what moves to the right by `speed` pixels a frame, followed as it moves."""
    here, before = (slice(1, None), ..., slice(speed, None)), (slice(None, -1), ..., slice(None, -speed))
    followed = (truth[here] == moving) & (truth[before] == moving)
    return float((labels[here] != labels[before])[followed].mean())
