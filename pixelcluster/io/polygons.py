"""Polygons of a label raster, with size and mean values; `polygon_files` writes them.

Each connected region (4 neighbours) is one polygon with its cluster, size and mean band values. Pixels are
streamed; what grows is the number of polygons and their corners.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.polygon_files import Ring, moved, write_geojson, write_gpkg
from pixelcluster.io.raster import Raster

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_ROWS, _COLUMNS = 512, 2048
_MOST_REGIONS = 3_000_000
# WGS 84: half the longer axis in metres, and the first eccentricity.
_AXIS, _ECCENTRICITY = 6_378_137.0, 0.0818191908426215


@dataclass(frozen=True)
class PolygonOptions:
    """What becomes of the regions.

    Attributes:
        min_area: regions below are left out; square metres where the raster has a CRS, else pixels.
        simplify: Douglas-Peucker tolerance in pixels; 0 keeps every corner. Neighbours are simplified one by
            one, so that small gaps and overlaps of that size can open between them.
    """

    min_area: float = 0.0
    simplify: float = 0.0


@dataclass
class _Polygon:
    cluster: int
    rings: list[Ring]  # (n, 2) column, row in pixels, closed; the first is the outline, the others are holes
    pixels: int
    area: float | None  # square metres
    mean: NDArray[np.float64] | None = None


def write_polygons(
    path: Path,
    suffix: str,
    raster: Raster,
    label_file: Path,
    names: Sequence[str],
    options: PolygonOptions,
) -> None:
    """Write the regions of a label raster (wrap in `atomic_write` for the final name).

    Properties: cluster, name (where named), pixels, area_m2 (where the raster has a CRS), and mean_B, the
    mean of each band B in the file's own units.

    Args:
        path: where the bytes go.
        suffix: of the final name, see `check_polygon_path`.
        raster: gives CRS, transform and values.
        label_file: the label raster of the same size.
        names: of the clusters.
        options: least area and simplification.

    Raises:
        PixelClusterError: more regions than fit into memory.
    """
    polygons = _regions(raster, label_file, options.min_area)
    _add_means(polygons, raster)
    rows = [_properties(polygon, raster, names) for polygon in polygons]
    shapes = [_simplified(polygon.rings, options.simplify) for polygon in polygons]
    write = write_gpkg if suffix == ".gpkg" else write_geojson
    write(path, shapes, rows, raster)


def _regions(raster: Raster, label_file: Path, min_area: float) -> list[_Polygon]:
    import rasterio
    from rasterio.features import shapes

    area_of = _area_function(raster)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NotGeoreferencedWarning
        with rasterio.open(label_file, driver="GTiff") as dataset:
            _check_count(dataset, raster.name)
            to_pixels = ~dataset.transform  # shapes of a band come in the coordinates of its file
            for geometry, value in shapes(rasterio.band(dataset, 1)):
                if value == dataset.nodata:
                    continue
                rings = [moved(np.array(ring), to_pixels).round() for ring in geometry["coordinates"]]
                area = area_of(rings)
                pixels = round(_enclosed(rings))
                if (pixels if area is None else area) >= min_area:
                    found.append(_Polygon(int(value), rings, pixels, area))
    found.sort(key=lambda polygon: (polygon.rings[0][:, 1].min(), polygon.rings[0][:, 0].min()))
    return found


def _check_count(dataset: DatasetReader, name: str) -> None:
    """Refuse more regions than fit into memory; each has a corner where it differs from left and above."""
    from rasterio.windows import Window

    corners, above = 0, None
    for top in range(0, dataset.height, _ROWS):
        n_rows = min(_ROWS, dataset.height - top)
        rows = dataset.read(1, window=Window(0, top, dataset.width, n_rows))
        both = rows if above is None else np.concatenate([above, rows])
        corners += int(((both[1:, 1:] != both[:-1, 1:]) & (both[1:, 1:] != both[1:, :-1])).sum())
        above = rows[-1:]
    if corners > _MOST_REGIONS:
        raise PixelClusterError(
            f"{name}: gives up to {corners / 1e6:.1f} million polygons, at most {_MOST_REGIONS / 1e6:g} fit "
            "into memory; ask for fewer clusters, or cut the scene into parts"
        )


def _enclosed(rings: Sequence[Ring], weight: NDArray[np.float64] | None = None) -> float:
    """Area of an outline less its holes, by Green's theorem, sum of y dx."""
    areas = [abs(float((r[:-1, 1] + r[1:, 1]) @ np.diff(r[:, 0]))) / 2 for r in rings]
    return areas[0] - sum(areas[1:])


def _area_function(raster: Raster) -> Callable[[Sequence[Ring]], float | None]:
    """Return the way from rings in pixels to square metres, or to None without a CRS.

    In longitude and latitude, y is replaced by the authalic function of latitude: the area of an ellipsoid
    between parallels, exact for outlines along rows and columns of a north-up raster (Snyder, Map
    Projections, eq. 3-12).
    """
    crs, transform = raster.dataset.crs, raster.dataset.transform
    if crs is None:
        return lambda rings: None
    if not crs.is_geographic:
        unit = crs.linear_units_factor[1] if crs.is_projected else 1.0
        pixel = float(abs(transform.determinant) * unit**2)
        return lambda rings: _enclosed(rings) * pixel

    def on_ellipsoid(rings: Sequence[Ring]) -> float:
        return _enclosed([_authalic(moved(ring, transform)) for ring in rings])

    return on_ellipsoid


def _authalic(degrees: Ring) -> Ring:
    """Longitude and latitude to coordinates in which areas are square metres."""
    longitude, latitude = degrees.T
    s, e = np.sin(np.radians(latitude)), _ECCENTRICITY
    q = (1 - e * e) * (s / (1 - (e * s) ** 2) + np.arctanh(e * s) / e)
    return np.stack([np.radians(longitude), q / 2 * _AXIS**2], 1)


def _add_means(polygons: Sequence[_Polygon], raster: Raster) -> None:
    """Fill in the mean of each band: regions are painted back, some rows at a time, and averaged."""
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    height, width = raster.shape
    tops = np.array([polygon.rings[0][:, 1].min() for polygon in polygons])
    bottoms = np.array([polygon.rings[0][:, 1].max() for polygon in polygons])
    sums, counts = np.zeros((len(polygons) + 1, len(raster.bands))), np.zeros(len(polygons) + 1)
    for top in range(0, height, _ROWS):
        rows = slice(top, min(height, top + _ROWS))
        here = np.flatnonzero((tops < rows.stop) & (bottoms > rows.start)).tolist()
        if not here:
            continue
        painted = rasterize(
            (
                ({"type": "Polygon", "coordinates": [ring.tolist() for ring in polygons[i].rings]}, i + 1)
                for i in here
            ),
            out_shape=(rows.stop - rows.start, width),
            transform=Affine.translation(0, top),
            dtype="int32",
        )
        for left in range(0, width, _COLUMNS):
            columns = slice(left, min(width, left + _COLUMNS))
            values, valid = raster.read(rows, columns, scaled=False)
            ids = painted[:, columns][valid]
            counts += np.bincount(ids, minlength=len(counts))
            for band in range(values.shape[-1]):
                sums[:, band] += np.bincount(ids, values[..., band][valid], len(counts))
    for i, polygon in enumerate(polygons, 1):
        polygon.mean = sums[i] / max(counts[i], 1)


def _properties(polygon: _Polygon, raster: Raster, names: Sequence[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {"cluster": polygon.cluster}
    if any(names):
        properties["name"] = names[polygon.cluster]
    properties["pixels"] = polygon.pixels
    if polygon.area is not None:
        properties["area_m2"] = round(polygon.area, 3)
    assert polygon.mean is not None
    means = zip(raster.bands, polygon.mean.tolist(), strict=True)
    return properties | {f"mean_{band}": float(f"{value:.6g}") for band, value in means}


def _simplified(rings: Sequence[Ring], tolerance: float) -> list[Ring]:
    """Douglas-Peucker on each ring; an outline never vanishes, a hole that does is dropped."""
    if tolerance == 0:
        return list(rings)
    import cv2

    short = [
        cv2.approxPolyDP(ring[:-1].astype(np.float32), tolerance, True)[:, 0].astype(float) for ring in rings
    ]
    closed = [np.concatenate([ring, ring[:1]]) for ring in short]
    outline = closed[0] if len(short[0]) >= 3 else rings[0]
    return [outline, *(ring for ring in closed[1:] if len(ring) >= 4)]
