"""A raster that is a picture and fits in memory: labelled whole, as a photograph is (`alone.single`).

Pixels without data are given the values of the nearest with data, so that there is no edge around them, and
weigh nothing where clusters are found; their labels are not written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.raster import Raster
from pixelcluster.io.raster_scribbles import RasterScribbles
from pixelcluster.io.scribbles import UNKNOWN
from pixelcluster.io.windows import Bool, Float, fill_invalid
from pixelcluster.segmenting.alone.linking import split_clusters
from pixelcluster.segmenting.alone.single import by_area, segment_image
from pixelcluster.segmenting.rasters.outputs import LabelledWindow, RasterLabels, strip_windows

_ROWS = 512  # that are read and written at once

Labels = NDArray[np.int32]


def is_picture(raster: Raster, max_pixels: int) -> bool:
    """Whether a raster has the bands and the size of a picture: 1 or 3 bands, at most this many pixels."""
    return not why_in_windows(raster, max_pixels)


def why_in_windows(raster: Raster, max_pixels: int) -> str:
    """Say why a raster is no picture (`is_picture`); "" where it is one."""
    n_bands, n_pixels = len(raster.bands), raster.shape[0] * raster.shape[1]
    if n_pixels > max_pixels:
        return f"{n_pixels / 1e6:.4g} megapixels, over the cap of {max_pixels / 1e6:g} (--max-pixels)"
    return "" if n_bands in (1, 3) else f"{n_bands} bands; 1 or 3 (--bands) are segmented whole"


def label_whole(
    raster: Raster, n_clusters: int | None, *, scribbles: RasterScribbles | None = None
) -> RasterLabels:
    """Segment the raster as a picture.

    Args:
        raster: open; see `is_picture`.
        n_clusters: this many; None: chosen. A scene of fewer colours warns and gives those.
        scribbles: known classes, which are clamped; clusters follow them (`segmenting.alone.guided`).

    Raises:
        PixelClusterError: no valid pixel, strokes where there are no data alone, or more classes than
            clusters.
    """
    picture, valid = _read(raster)
    box = _bounds(valid)
    seen = valid[box]
    image = fill_invalid(np.ascontiguousarray(picture[box]), seen)
    del picture
    marks, named = None, tuple[str, ...]()
    if scribbles is not None:
        marks, named = np.where(seen, scribbles.read(*box), UNKNOWN).astype(np.int32), scribbles.names
        if marks.max() == UNKNOWN:
            raise PixelClusterError(f"{raster.name}: all scribbles lie where there are no data; move them")
    whole = bool(seen.all())
    labels = np.zeros(raster.shape, np.int32)
    labels[box] = segment_image(
        image, n_clusters=n_clusters, scribbles=marks, valid=None if whole else seen
    ).label_map
    if marks is None and not whole:
        labels[valid] = _renumbered(labels[valid], image, seen, n_clusters)
    count = max(int(labels[valid].max()) + 1, len(named))
    if n_clusters is not None and marks is None and count < n_clusters:
        warnings.warn(
            f"asked for {n_clusters} clusters, but the raster shows {count}: returning {count}",
            PixelClusterWarning,
            stacklevel=2,
        )
    return RasterLabels((*named, *[""] * (count - len(named))), _windows(raster, labels))


def _read(raster: Raster) -> tuple[Float, Bool]:
    """Return colours (H, W, 3) and validity (H, W) of the whole raster."""
    height, width = raster.shape
    picture, valid = np.empty((height, width, 3), np.float32), np.empty((height, width), bool)
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        values, valid[rows] = raster.read(rows, slice(0, width))
        picture[rows] = raster.display(values)
    if not valid.any():
        raise PixelClusterError(f"{raster.name}: holds no valid pixel; check its nodata value and mask")
    return picture, valid


def _bounds(valid: Bool) -> tuple[slice, slice]:
    """Return the rows and columns that hold everything valid."""
    rows, columns = (np.flatnonzero(valid.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _renumbered(labels: Labels, image: Float, valid: Bool, n_clusters: int | None) -> Labels:
    """Number the clusters of the valid pixels (n,) of an image (h, w, 3) by decreasing area."""
    kept = by_area(labels)[0]
    if n_clusters is None or kept.max() + 1 >= n_clusters:
        return kept
    # Some had no valid pixel: others are divided.
    return by_area(split_clusters(kept[None], image[valid][None], n_clusters)[0])[0]


def _windows(raster: Raster, labels: Labels) -> Iterator[LabelledWindow]:
    for top in range(0, len(labels), _ROWS):
        yield from strip_windows(raster, top, labels[top : top + _ROWS])
