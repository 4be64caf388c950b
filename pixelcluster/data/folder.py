"""Any folder of images of mixed sizes as a training set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import list_images, read_image


class ImageFolder:
    """The readable images of files and folders, read from disk on access, so memory does not grow with them.

    Every file is decoded once on construction; files that cannot be read are left out and kept in `failures`.

    Args:
        inputs: files and folders (recursive).
        max_side: longest side in pixels; larger images are shrunk, smaller ones kept.

    Attributes:
        paths: the images that can be read, sorted as `list_images` gives them.
        failures: (path, message) of each file left out.

    Raises:
        PixelClusterError: no image can be read, or `max_side` is below 1.
    """

    def __init__(self, inputs: Sequence[Path], max_side: int = 512) -> None:
        """Decode every file once."""
        if max_side < 1:
            raise PixelClusterError(f"max_side is a number of pixels of at least 1, got {max_side}")
        self.max_side = max_side
        self.paths: list[Path] = []
        self.failures: list[tuple[Path, str]] = []
        for path in list_images(inputs):
            problem = _problem(path)
            if problem is None:
                self.paths.append(path)
            else:
                self.failures.append((path, problem))
        if not self.paths:
            reason = f"; first: {self.failures[0][1]}" if self.failures else ""
            raise PixelClusterError(f"no readable image in {', '.join(map(show_path, inputs))}{reason}")

    def __len__(self) -> int:
        """Return the number of readable images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        """Return the image at `index`, (H, W, 3) float32 RGB in [0, 1], sides at most `max_side`."""
        return limit_side(read_image(self.paths[index]), self.max_side)


def limit_side(image: npt.NDArray[np.float32], max_side: int) -> npt.NDArray[np.float32]:
    """Shrink (H, W, C) so that its longest side is at most `max_side` pixels, by area averaging."""
    height, width = image.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _problem(path: Path) -> str | None:
    """Return why a file cannot be read, None where it can."""
    try:
        read_image(path)
    except PixelClusterError as error:
        return str(error)
    return None
