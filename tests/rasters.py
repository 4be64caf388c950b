"""Small GeoTIFFs for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

COLOURS = np.array([[60, 110, 50], [150, 140, 90], [30, 60, 110], [190, 180, 170]])


def planted(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Labels of four classes in wavy bands, with small squares of the last inside the first."""
    rows, columns = np.mgrid[:height, :width]
    labels = ((rows + 8 * np.sin(columns / 23)) // (height / 7)).astype(int) % 4
    squares = (rows // 9 % 6 == 1) & (columns // 9 % 6 == 2)
    return np.where(squares & (labels == 0), 3, labels)


def write_scene(path: Path, labels: np.ndarray, n_bands: int = 3, **profile: Any) -> np.ndarray:
    """Write noisy colours of labels (H, W) as a GeoTIFF; returns what was written, (D, H, W)."""
    import rasterio
    from rasterio.transform import Affine

    rng = np.random.default_rng(1)
    colours = COLOURS[:, np.arange(n_bands) % 3] * (1 - 0.1 * (np.arange(n_bands) // 3))
    values = colours[labels] + rng.normal(0, 6, (*labels.shape, n_bands))
    settings: dict[str, Any] = {
        "driver": "GTiff", "dtype": "uint8", "crs": "EPSG:32633", "nodata": None,
        "transform": Affine(10, 0, 500_000, 0, -10, 5_500_000),
    } | profile  # fmt: skip
    kind = np.dtype(settings["dtype"])
    written = (values.clip(1, 255) if kind == np.uint8 else values * 30 + 500).astype(kind)
    written = np.ascontiguousarray(np.moveaxis(written, -1, 0))
    height, width = labels.shape
    if "fill" in settings:  # where True, nodata
        written[:, settings.pop("fill")] = settings["nodata"]
    if n_bands == 3:
        settings.setdefault("photometric", "rgb")
    with rasterio.open(path, "w", height=height, width=width, count=n_bands, **settings) as dataset:
        dataset.write(written)
    return written
