"""Windows of rasters as arrays: where to sample, and averages and gaps of pixels that may be invalid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]

_SIDE = 128


def average_valid(
    values: Float, valid: Bool, shape: tuple[int, int], least: float = 0.5
) -> tuple[Float, Bool]:
    """Average the valid pixels of (H, W, D) to (h, w, D); valid where at least a share of the pixels is."""
    import cv2  # takes longer to import than most commands take

    size = (shape[1], shape[0])
    weight = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    # cv2 resizes at most four channels at once.
    planes = [cv2.resize(values[..., i], size, interpolation=cv2.INTER_AREA) for i in range(values.shape[-1])]
    seen: Bool = weight >= least
    averaged = np.stack(planes, -1) / np.where(seen, weight, 1)[..., None]
    return np.where(seen[..., None], averaged, np.float32(0)).astype(np.float32, copy=False), seen


def spread_windows(height: int, width: int) -> list[tuple[slice, slice]]:
    """Return 8 x 8 windows of a raster, evenly spread, of at most 128 x 128 pixels."""

    def starts(length: int) -> list[int]:
        return sorted({round(start) for start in np.linspace(0, max(0, length - _SIDE), 8)})

    return [
        (slice(top, min(height, top + _SIDE)), slice(left, min(width, left + _SIDE)))
        for top in starts(height)
        for left in starts(width)
    ]


def fill_invalid(values: Float, valid: Bool) -> Float:
    """Give invalid pixels of (h, w, D) the values of the nearest valid one, so that they show nothing new."""
    if valid.all() or not valid.any():
        return values
    from scipy.ndimage import distance_transform_edt

    row, column = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    filled: Float = values.copy()
    filled[~valid] = values[row[~valid], column[~valid]]
    return filled
