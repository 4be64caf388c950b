"""Images, however they are given, as one tensor of small square images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.cluster.settings import RowFormat
from pixelcluster.data.folder import read_images
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.read import ImageLike, read_image

Array = NDArray[Any]


def from_array(images: Array, side: int) -> Tensor:
    """Return images (N, C, S, S) uint8 from one array.

    Args:
        images: (N, H, W) or (N, H, W, C) with 1 or 3 channels, uint8, or floating in [0, 1].
        side: S in pixels.

    Raises:
        PixelClusterError: another shape or type, no image, or values that are not finite or out of range.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise PixelClusterError(
            f"images have shape {images.shape}; wanted (N, H, W) or (N, H, W, C) with 1 or 3 channels"
        )
    if images.dtype != np.uint8:
        values = np.asarray(images, dtype=np.float64)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise PixelClusterError(
                "images hold values outside [0, 1], or NaN; divide by their maximum, or give uint8"
            )
        images = np.round(values * 255).astype(np.uint8)
    return torch.stack([squared(image, side) for image in images])


def row_format(rows: Array) -> RowFormat:
    """Return the format of rows (N, F) of finite numbers."""
    return RowFormat(low=float(rows.min()), high=float(rows.max()), length=rows.shape[1])


def from_rows(rows: Array, form: RowFormat, side: int) -> Tensor:
    """Return images (N, 1, S, S) uint8 of rows (N, F) of numbers; beyond the format's, they saturate.

    A row of a square number of entries is a square image, any other an image of one line.
    """
    scaled = np.clip((rows - form.low) / max(form.high - form.low, 1e-12), 0, 1)
    width = int(np.sqrt(form.length))
    shape = (width, width) if width**2 == form.length else (1, form.length)
    return from_array(scaled.reshape(len(rows), *shape), side)


def from_files(
    inputs: Sequence[Path], side: int, *, max_pixels: int = MAX_PIXELS
) -> tuple[Tensor, list[Path], list[tuple[Path, str]]]:
    """Return images (N, C, S, S) uint8 of files and folders, their paths, and what was left out and why.

    Images are grey where all are grey, else colour. Mixed sizes are resized, with a note.

    Raises:
        PixelClusterError: no image can be read.
    """
    failures: list[tuple[Path, str]] = []
    kept, images, sizes = [], [], set()
    for path, image in read_images(inputs, failures, max_pixels=max_pixels):
        sizes.add(image.shape[:2])
        kept.append(path)
        images.append(squared(np.round(image * 255).astype(np.uint8), side))
    if len(sizes) > 1:
        warnings.warn(
            f"images have {len(sizes)} different sizes; all are brought to {side} x {side} pixels",
            PixelClusterWarning,
            stacklevel=2,
        )
    return without_colour(torch.stack(images)), kept, failures


def from_sequence(images: Sequence[ImageLike], side: int) -> Tensor:
    """Return images (N, C, S, S) uint8 of a sequence of paths, PIL images, arrays or tensors."""
    if not len(images):
        raise PixelClusterError("no image was given; wanted at least one per cluster")
    parts = [squared(np.round(read_image(image) * 255).astype(np.uint8), side) for image in images]
    return without_colour(torch.stack(parts))


def squared(image: NDArray[np.uint8], side: int) -> Tensor:
    """Return an image (H, W, C) uint8 as (C, S, S): its border repeated to a square, then resized."""
    height, width = image.shape[:2]
    gap = abs(height - width)
    before, after = gap // 2, gap - gap // 2
    top, bottom, left, right = (before, after, 0, 0) if height < width else (0, 0, before, after)
    square = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
    if square.shape[0] != side:
        shrinks = square.shape[0] > side
        square = cv2.resize(
            square, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(square).transpose(2, 0, 1)))


def without_colour(images: Tensor) -> Tensor:
    """Return images (N, 3, S, S) with one channel if all are equal in all of them."""
    grey = images[:, :1]
    return grey.contiguous() if bool((images == grey).all()) else images
