"""The colours of an image: no more clusters can be told apart, and a drawing of few is its own label map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BAND = 1_000_000
_ALIKE = 0.75
_SMALL = 64 * 64
_STEP = 4 / 255


def count_colours(image: NDArray[np.float32], *, at_least: int) -> int:
    """Count distinct pixels, stopping early; memory stays small on large images.

    Args:
        image: (H, W, 3).
        at_least: stop as soon as this many are known.

    Returns:
        The exact number where it is below `at_least`, else some number from `at_least` up.
    """
    keys = image.reshape(-1, 3)
    # A fixed stride sees the whole image, where the first rows may all be sky; it settles most photographs.
    sample = keys[:: max(1, len(keys) // (64 * at_least))]
    known = np.unique(_pixel_keys(sample))
    for start in range(0, len(keys), _BAND):
        if len(known) >= at_least:
            break
        known = np.union1d(known, _pixel_keys(keys[start : start + _BAND]))
    return len(known)


def label_colours(image: NDArray[np.float32], *, at_most: int) -> NDArray[np.int32] | None:
    """Give each colour an id.

    Args:
        image: (H, W, 3).
        at_most: colours.

    Returns:
        (H, W) ids from 0, or None where there are more colours.
    """
    if count_colours(image, at_least=at_most + 1) > at_most:
        return None
    pixels = image.reshape(-1, 3)
    bands = [_pixel_keys(pixels[start : start + _BAND]) for start in range(0, len(pixels), _BAND)]
    known = np.unique(np.concatenate([np.unique(band) for band in bands]))
    ids = np.concatenate([np.searchsorted(known, band).astype(np.int32) for band in bands])
    return ids.reshape(image.shape[:2])


def is_drawn(labels: NDArray[np.int32], image: NDArray[np.float32]) -> bool:
    """Whether an image (H, W, 3) of few colours is a drawing in them, given which pixel has which (H, W).

    Most neighbours are equal, unlike in a dither, and no two colours nearly so, as in a gradient. In all but
    small pictures every colour fills some place, unlike the blends along soft edges.
    """
    across, down = labels[:, 1:] == labels[:, :-1], labels[1:] == labels[:-1]
    if across.sum() + down.sum() < _ALIKE * (across.size + down.size):
        return False
    colours = image.reshape(-1, 3)[np.unique(labels, return_index=True)[1]]
    apart = np.abs(colours[:, None] - colours[None]).max(-1)[np.triu_indices(len(colours), 1)]
    amid = across[1:-1, 1:] & across[1:-1, :-1] & down[1:, 1:-1] & down[:-1, 1:-1]
    filled = np.unique(labels[1:-1, 1:-1][amid])
    return bool((apart >= _STEP).all()) and (labels.size <= _SMALL or len(filled) == len(colours))


def _pixel_keys(pixels: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Mix the 96 bits of each pixel into 64: sorting numbers is far quicker than sorting rows."""
    bits = np.ascontiguousarray(pixels).view(np.uint32).astype(np.uint64)
    odd = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
    keys: NDArray[np.uint64] = (bits * odd).sum(axis=1, dtype=np.uint64)  # wraps around, as a hash may
    return keys
