"""Shrink, pad and crop kernels of the IIC protocol, all pure.

Source: the preprocessing of xu-ji/IIC (Ji et al., ICCV 2019): bilinear image, nearest label, zero padding
around the centre, crop around the centre or at a uniformly drawn place.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", np.float32, np.uint8)
FloatImage = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


def shrink_image(image: FloatImage, factor: float) -> FloatImage:
    """Scale an image (H, W, C) by `factor`, bilinear without anti-aliasing; sides are rounded, at least 1."""
    return _scaled(image, factor, cv2.INTER_LINEAR)


def shrink_labels(labels: Labels, factor: float) -> Labels:
    """Scale a label map (H, W) uint8 by `factor`, nearest: row i takes row floor(i / factor)."""
    return _scaled(labels, factor, cv2.INTER_NEAREST)


def pad_to(array: npt.NDArray[Scalar], size: int, fill: float) -> npt.NDArray[Scalar]:
    """Pad the sides of (H, W) or (H, W, C) that are shorter than `size` pixels, content in the centre.

    For an odd difference the content sits where IIC puts it: centre size // 2 on centre side // 2.
    """
    height, width = array.shape[:2]
    full_height, full_width = max(height, size), max(width, size)
    top, left = full_height // 2 - height // 2, full_width // 2 - width // 2
    padding = [(top, full_height - height - top), (left, full_width - width - left)]
    padding += [(0, 0)] * (array.ndim - 2)
    return np.pad(array, padding, constant_values=fill)


def centre_crop(array: npt.NDArray[Scalar], size: int, fill: float) -> npt.NDArray[Scalar]:
    """Return the central `size` x `size` window of (H, W[, C]), padded with `fill` where smaller."""
    padded = pad_to(array, size, fill)
    return window(padded, padded.shape[0] // 2 - size // 2, padded.shape[1] // 2 - size // 2, size)


def random_crop(
    image: FloatImage, labels: Labels, size: int, rng: np.random.Generator, *, ignore_index: int = 255
) -> tuple[FloatImage, Labels]:
    """Cut the same random `size` x `size` window out of an image and its labels.

    Args:
        image: (H, W, C), padded with 0 where smaller than the window.
        labels: (H, W), padded with `ignore_index`.
        size: side of the window in pixels.
        rng: source of the place, uniform over all windows inside the padded image.
        ignore_index: label of the padding.

    Returns:
        Image (size, size, C) and labels (size, size).
    """
    padded, padded_labels = pad_to(image, size, 0), pad_to(labels, size, ignore_index)
    top, left = (int(rng.integers(side - size + 1)) for side in padded.shape[:2])
    return window(padded, top, left, size), window(padded_labels, top, left, size)


def window(array: npt.NDArray[Scalar], top: int, left: int, size: int) -> npt.NDArray[Scalar]:
    """Return a contiguous copy of the `size` x `size` window at (top, left)."""
    return np.ascontiguousarray(array[top : top + size, left : left + size])


def _scaled(array: npt.NDArray[Scalar], factor: float, interpolation: int) -> npt.NDArray[Scalar]:
    """Scale with OpenCV by the exact factor (not by the ratio of the rounded sides)."""
    if min(round(side * factor) for side in array.shape[:2]) < 1:
        # OpenCV refuses a side that rounds to 0.
        target = (max(1, round(array.shape[1] * factor)), max(1, round(array.shape[0] * factor)))
        scaled = cv2.resize(array, target, interpolation=interpolation)
    else:
        scaled = cv2.resize(array, None, fx=factor, fy=factor, interpolation=interpolation)
    return scaled.astype(array.dtype, copy=False)
