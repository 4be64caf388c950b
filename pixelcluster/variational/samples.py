"""A picture of samples, one row a cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.io.write import atomic_write

_GAP = 2
"""White pixels between samples."""


def sample_rows(samples: NDArray[np.uint8]) -> Image.Image:
    """Return samples (K, n, H, W, C) uint8, C 1 or 3, as a picture of K rows and n columns."""
    n_rows, n_columns, height, width, _ = samples.shape
    padded = np.pad(samples, ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
    rows = padded.swapaxes(1, 2).reshape(n_rows * (height + _GAP), n_columns * (width + _GAP), -1)
    sheet = np.pad(rows, ((_GAP, 0), (_GAP, 0), (0, 0)), constant_values=255)
    return Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)


def write_samples(path: Path, samples: NDArray[np.uint8]) -> None:
    """Write the picture of `sample_rows` as PNG, over one that is there.

    Raises:
        PixelClusterError: the file cannot be written.
    """
    with atomic_write(path, overwrite=True) as temporary:
        sample_rows(samples).save(temporary, format="PNG")
