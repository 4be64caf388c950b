"""Polygons on disk: GeoJSON in longitude and latitude (RFC 7946), or GeoPackage in the CRS of the raster."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.raster import Raster

if TYPE_CHECKING:
    from rasterio.transform import Affine

Ring = NDArray[np.float64]
"""Corners (n, 2) column, row in pixels, the first repeated at the end."""

_SUFFIXES = (".geojson", ".json", ".gpkg")
_WGS84 = "EPSG:4326"
_AT_ONCE = 10_000  # polygons


def check_polygon_path(path: Path) -> None:
    """Say early that a name is not one polygons can be written to.

    Raises:
        PixelClusterError: another suffix, or .gpkg without the library that writes it.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise PixelClusterError(f"{path.name}: polygons are written to .geojson or .gpkg; rename it")
    if path.suffix.lower() == ".gpkg":
        _pyogrio()


def mapped(ring: Ring, raster: Raster) -> Ring:
    """Pixel coordinates (column, row) to coordinates of the CRS."""
    return moved(ring, raster.dataset.transform)


def moved(points: Ring, t: Affine) -> Ring:
    """Apply an affine transform to (n, 2)."""
    x, y = points.T
    return np.stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f], 1)


def write_geojson(
    path: Path, shapes: Sequence[Sequence[Ring]], rows: Sequence[dict[str, Any]], raster: Raster
) -> None:
    """Write a feature a line: in longitude and latitude, or in pixels where the raster has no CRS.

    Args:
        path: where the bytes go.
        shapes: rings of each polygon, the outline first.
        rows: properties of each.
        raster: gives CRS and transform.
    """
    with path.open("w", encoding="utf-8") as handle:
        handle.write('{"type": "FeatureCollection", "features": [')
        for number, (rings, properties) in enumerate(zip(_to_wgs84(shapes, raster), rows, strict=True)):
            # RFC 7946: outlines run counterclockwise, holes clockwise.
            turned = [ring if _turns_left(ring) == (i == 0) else ring[::-1] for i, ring in enumerate(rings)]
            feature = {
                "type": "Feature",
                "properties": properties,
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [np.round(ring, 8).tolist() for ring in turned],
                },
            }
            handle.write(("," if number else "") + "\n" + json.dumps(feature))
        handle.write("\n]}\n")


def _to_wgs84(shapes: Sequence[Sequence[Ring]], raster: Raster) -> Iterator[list[Ring]]:
    """Yield rings in longitude and latitude, or, without a CRS, in the raster's own coordinates."""
    from rasterio.warp import transform

    crs = raster.dataset.crs
    for start in range(0, len(shapes), _AT_ONCE):  # a call costs as much as thousands of corners
        part = shapes[start : start + _AT_ONCE]
        flat = [mapped(ring, raster) for rings in part for ring in rings]
        if crs is not None:
            corners = np.concatenate(flat)
            corners = np.stack(transform(crs, _WGS84, corners[:, 0], corners[:, 1]), 1)
            flat = np.split(corners, np.cumsum([len(ring) for ring in flat])[:-1])
        following = iter(flat)
        yield from ([next(following) for _ in rings] for rings in part)


def _turns_left(ring: Ring) -> bool:
    return float((ring[:-1, 1] + ring[1:, 1]) @ np.diff(ring[:, 0])) < 0


def write_gpkg(
    path: Path, shapes: Sequence[Sequence[Ring]], rows: Sequence[dict[str, Any]], raster: Raster
) -> None:
    """Write a layer "clusters" through pyogrio, in the raster's own CRS; arguments as of `write_geojson`."""
    pyogrio = _pyogrio()
    geometry = np.array([_wkb([mapped(ring, raster) for ring in rings]) for rings in shapes], dtype=object)
    fields = list(rows[0]) if rows else ["cluster"]
    columns = [np.array([row[field] for row in rows]) for field in fields]
    crs = raster.dataset.crs
    file = path.with_name(path.name + ".gpkg")  # the driver refuses another suffix
    try:
        pyogrio.raw.write(
            file,
            geometry,
            columns,
            fields,
            geometry_type="Polygon",
            driver="GPKG",
            layer="clusters",
            crs=None if crs is None else crs.to_wkt(),
        )
        file.replace(path)
    finally:
        file.unlink(missing_ok=True)


def _wkb(rings: Sequence[Ring]) -> bytes:
    """Well-known binary of a polygon, little-endian."""
    parts = [struct.pack("<BII", 1, 3, len(rings))]
    parts += [struct.pack("<I", len(ring)) + ring.astype("<f8").tobytes() for ring in rings]
    return b"".join(parts)


def _pyogrio() -> Any:
    try:
        import pyogrio
    except ImportError:
        raise PixelClusterError(
            "GeoPackage needs pyogrio, which is not installed; write .geojson, or pip install pyogrio"
        ) from None
    return pyogrio
