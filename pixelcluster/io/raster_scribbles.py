"""Strokes of known labels on a raster, read window by window.

GeoJSON is in longitude and latitude (RFC 7946), in the CRS of its "crs" member, or, where its numbers are no
longitude and latitude, in the CRS of the raster. Areas mark the pixels whose centres they hold, lines and
points those they touch: the polygons this program writes give back the very pixels they came from. An image
(PNG, or GeoTIFF of any size) has a pixel for each of the raster's, 0 where nothing is known and i for
cluster i.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.label_map import read_label_map
from pixelcluster.io.polygon_files import moved
from pixelcluster.io.raster import Raster, check_layout, explained, open_geotiff
from pixelcluster.io.scribbles import (
    UNKNOWN,
    Marks,
    check_id,
    geojson_shapes,
    load_document,
    resolve_labels,
    size_message,
)

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

ReadMarks = Callable[[slice, slice], Marks]
_SIDE = 1024
_WGS84 = 4326
_FARTHEST = 1e7  # pixels
_GEOMETRIES = {"area": "Polygon", "line": "LineString", "points": "Point"}


@dataclass(frozen=True)
class RasterScribbles:
    """Strokes on an open raster.

    Attributes:
        names: by id, "" for one without; () where there are none.
        shape: rows and columns of the raster.
        read: rows and columns -> (h, w) ids, `UNKNOWN` where nothing is marked.
    """

    names: tuple[str, ...]
    shape: tuple[int, int]
    read: ReadMarks

    def windows(self) -> Iterator[tuple[slice, slice, Marks]]:
        """Yield the windows that hold a mark: rows, columns, ids."""
        height, width = self.shape
        for top in range(0, height, _SIDE):
            for left in range(0, width, _SIDE):
                rows, columns = slice(top, min(top + _SIDE, height)), slice(left, min(left + _SIDE, width))
                marks = self.read(rows, columns)
                if marks.max() > UNKNOWN:
                    yield rows, columns, marks


@contextmanager
def open_raster_scribbles(
    path: str | os.PathLike[str],
    raster: Raster,
    *,
    names: Sequence[str] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[RasterScribbles]:
    """Open strokes and check all of them, holding a window at a time.

    Args:
        path: .json or .geojson, .tif or .tiff, or else an image, which is read whole.
        raster: open.
        names: as of `scribbles.read_scribbles`.
        max_pixels: largest accepted height x width of an image that is no TIFF.

    Yields:
        The strokes.

    Raises:
        PixelClusterError: unreadable, of another size or place, without a mark, or labels no cluster has.
    """
    name, suffix = show_path(path), Path(path).suffix.lower()
    if suffix in (".json", ".geojson"):
        read, found = _vector(path, raster, names)
        yield _checked(RasterScribbles(found, raster.shape, read), names, name)
    elif suffix in (".tif", ".tiff"):
        with open_geotiff(path) as dataset:
            read = _tiff(dataset, raster, name)
            yield _checked(RasterScribbles(tuple(names or ()), raster.shape, read), names, name)
    else:
        ids = read_label_map(path, max_pixels=max_pixels)
        if ids.shape != raster.shape:
            raise PixelClusterError(size_message(name, ids.shape, raster.shape))
        small = ids.astype(np.min_scalar_type(ids.max()))  # a quarter of the memory as a rule

        def cut(rows: slice, columns: slice) -> Marks:
            return _marks(small[rows, columns])

        yield _checked(RasterScribbles(tuple(names or ()), raster.shape, cut), names, name)


def _checked(scribbles: RasterScribbles, names: Sequence[str] | None, where: str) -> RasterScribbles:
    largest = max((int(marks.max()) for _, _, marks in scribbles.windows()), default=UNKNOWN)
    if largest == UNKNOWN:
        raise PixelClusterError(f"{where}: marks no pixel of the raster; check its CRS, or paint ids from 1")
    check_id(largest, names, where)
    return scribbles


def _marks(ids: NDArray[np.integer]) -> Marks:
    marks = ids.astype(np.int32)  # first: numpy would fit UNKNOWN into the type of small ids
    marks[marks == 0] = UNKNOWN
    return marks


def _tiff(dataset: DatasetReader, raster: Raster, name: str) -> ReadMarks:
    from rasterio.windows import Window

    shape, own = (dataset.height, dataset.width), raster.dataset
    if shape != raster.shape:
        raise PixelClusterError(size_message(name, shape, raster.shape))
    check_layout(dataset, name, (1,))
    if dataset.count != 1 or np.dtype(dataset.dtypes[0]).kind not in "iu":
        raise PixelClusterError(
            f"{name}: {dataset.count} bands of {dataset.dtypes[0]}; scribbles are one band of integers"
        )
    if dataset.crs and own.crs and not dataset.transform.almost_equals(own.transform, 1e-6):
        raise PixelClusterError(
            f"{name}: lies elsewhere than the raster; paint scribbles on the raster itself"
        )

    def read(rows: slice, columns: slice) -> Marks:
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        with explained(f"{name}: cannot be read as GeoTIFF", "copy or export the file again"):
            ids = dataset.read(1, window=window).astype(np.int64)
        if dataset.nodata is not None:
            ids[ids == dataset.nodata] = 0
        return _marks(ids.clip(0, np.iinfo(np.int32).max))

    return read


def _vector(
    path: str | os.PathLike[str], raster: Raster, names: Sequence[str] | None
) -> tuple[ReadMarks, tuple[str, ...]]:
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    document, name = load_document(path), show_path(path)
    try:
        stated = [*geojson_shapes(document)]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise PixelClusterError(f"{name}: is not GeoJSON as expected ({reason})") from None
    if not stated:
        raise PixelClusterError(f"{name}: marks no pixel of the raster; it holds no geometry")
    labels, kinds, outlines = zip(*stated, strict=True)
    ids, found = resolve_labels(labels, names, name)
    corners = [ring for rings in outlines for ring in rings]
    placed = _to_pixels(np.concatenate(corners), document, raster, name)
    following = iter(np.split(placed, np.cumsum([len(ring) for ring in corners])[:-1]))
    shapes = [[next(following) for _ in rings] for rings in outlines]
    boxes = np.array([(*rings[0].min(0), *rings[0].max(0)) for rings in shapes])
    geometries = [
        {"type": _GEOMETRIES[kind], "coordinates": _coordinates(kind, rings)}
        for kind, rings in zip(kinds, shapes, strict=True)
    ]

    def read(rows: slice, columns: slice) -> Marks:
        marks = np.full((rows.stop - rows.start, columns.stop - columns.start), UNKNOWN, np.int32)
        near = (boxes[:, 0] <= columns.stop) & (boxes[:, 2] >= columns.start)
        near &= (boxes[:, 1] <= rows.stop) & (boxes[:, 3] >= rows.start)
        place = Affine.translation(columns.start, rows.start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shapes between the pixels
            for i in np.flatnonzero(near).tolist():
                touched = kinds[i] != "area"
                rasterize([(geometries[i], ids[i])], out=marks, transform=place, all_touched=touched)
        return marks

    return read, found


def _coordinates(kind: str, rings: list[NDArray[np.float64]]) -> list[Any]:
    if kind == "area":
        return [[*ring.tolist(), ring[0].tolist()] for ring in rings]
    line: list[Any] = rings[0].tolist()
    return line if kind == "line" else line[0]


def _to_pixels(
    points: NDArray[np.float64], document: dict[str, Any], raster: Raster, name: str
) -> NDArray[np.float64]:
    """Return points (n, 2) x, y as columns and rows of the raster."""
    from rasterio.crs import CRS
    from rasterio.warp import transform

    if not np.isfinite(points).all():
        raise PixelClusterError(f"{name}: holds coordinates that are no numbers")
    own, stated = raster.dataset.crs, _stated_crs(document, name)
    lonlat = bool((np.abs(points) <= (180, 90)).all())
    source = stated or (CRS.from_epsg(_WGS84) if lonlat else own)
    if own is not None and source != own:
        with explained(f"{name}: cannot be brought to the CRS of the raster", "export it in that CRS"):
            points = np.stack(transform(source, own, points[:, 0], points[:, 1]), 1)
    placed: NDArray[np.float64] = moved(points, ~raster.dataset.transform)
    if not (np.abs(placed) <= _FARTHEST).all():
        raise PixelClusterError(f"{name}: holds coordinates far outside the raster; check its CRS")
    return placed


def _stated_crs(document: dict[str, Any], name: str) -> CRS | None:
    """Return the CRS of the "crs" member of older GeoJSON, None without one."""
    from rasterio.crs import CRS

    if document.get("crs") is None:
        return None
    text = str(document["crs"])[:200]
    if "CRS84" in text:
        return CRS.from_epsg(_WGS84)
    code = re.search(r"EPSG:{1,2}(?:[\d.]*:)?(\d{4,6})\b", text)
    if code is None:
        raise PixelClusterError(f"{name}: its crs {text!r} is not known; state an EPSG code, or leave it out")
    with explained(
        f"{name}: EPSG:{code[1]} is not known", "state another, or export in longitude and latitude"
    ):
        return CRS.from_epsg(int(code[1]))
