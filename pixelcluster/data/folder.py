"""Folders of images of mixed sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.read import list_images, read_image


def read_images(
    inputs: Sequence[Path], failures: list[tuple[Path, str]], *, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Path, npt.NDArray[np.float32]]]:
    """Read the images of files and folders one after the other, going on past those that cannot be read.

    Args:
        inputs: files and folders (recursive).
        failures: (path, message) of each file left out is appended.
        max_pixels: largest accepted height x width.

    Yields:
        Path and image (H, W, 3) float32 RGB in [0, 1], in the order of `list_images`.

    Raises:
        PixelClusterError: none can be read.
    """
    found = False
    for path in list_images(inputs):
        try:
            image = read_image(path, max_pixels=max_pixels)
        except PixelClusterError as error:
            failures.append((path, str(error)))
            continue
        found = True
        yield path, image
    if not found:
        reason = f"; first: {failures[0][1]}" if failures else ""
        raise PixelClusterError(f"no readable image in {', '.join(map(show_path, inputs))}{reason}")


def limit_side(image: npt.NDArray[np.float32], max_side: int) -> npt.NDArray[np.float32]:
    """Shrink (H, W, C) so that its longest side is at most `max_side` pixels, by area averaging."""
    height, width = image.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
