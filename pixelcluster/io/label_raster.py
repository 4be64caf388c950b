"""Label maps of rasters: tiled, compressed GeoTIFF with CRS, transform, colour table and class list.

Ids are 0 .. K-1; pixels outside the scene's mask hold the nodata id, 255 (65535 above 255 clusters), which
the file states. The class list is JSON in the tag `CLASSES`: ``rasterio.open(path).tags()["CLASSES"]``.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.raster import Raster
from pixelcluster.render.palette import hex_colours

if TYPE_CHECKING:
    from rasterio.io import DatasetWriter

BLOCK = 512
"""Side of the tiles in the file, pixels."""


class LabelWriter:
    """Writes windows of labels."""

    def __init__(self, dataset: DatasetWriter, nodata: int) -> None:
        self._dataset, self._nodata = dataset, nodata

    def write(self, top: int, left: int, labels: NDArray[np.int32], valid: NDArray[np.bool_]) -> None:
        """Write a window; made of whole tiles (`BLOCK`) each is compressed once.

        Args:
            top: first row.
            left: first column.
            labels: (h, w).
            valid: (h, w); False becomes nodata.
        """
        from rasterio.windows import Window

        filled = np.where(valid, labels, self._nodata).astype(self._dataset.dtypes[0])
        self._dataset.write(filled, 1, window=Window(left, top, labels.shape[1], labels.shape[0]))


def class_list(palette: NDArray[np.uint8], names: Sequence[str]) -> list[dict[str, object]]:
    """Return id, name and colour ("#rrggbb") of each cluster, from its palette (K, 3) and its names."""
    return [
        {"id": i, "name": name, "colour": colour}
        for i, (name, colour) in enumerate(zip(names, hex_colours(palette), strict=True))
    ]


@contextmanager
def create_label_raster(
    path: Path, raster: Raster, palette: NDArray[np.uint8], names: Sequence[str]
) -> Iterator[LabelWriter]:
    """Create the label map of a raster (wrap in `atomic_write` for the final name).

    Args:
        path: where the bytes go.
        raster: gives size, CRS and transform.
        palette: (K, 3) colours of the clusters.
        names: of the K clusters, "" for one without.

    Yields:
        The writer.

    Raises:
        PixelClusterError: more than 65535 clusters.
    """
    import rasterio

    n_clusters = len(palette)
    if n_clusters > 65535:
        raise PixelClusterError(f"{n_clusters} clusters do not fit a label raster; at most 65535 do")
    dtype, nodata = ("uint8", 255) if n_clusters <= 255 else ("uint16", 65535)
    source = raster.dataset
    colours = {i: (*(int(v) for v in colour), 255) for i, colour in enumerate(palette)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NotGeoreferencedWarning
        with rasterio.open(
            path, "w", driver="GTiff", height=source.height, width=source.width, count=1, dtype=dtype,
            crs=source.crs, transform=source.transform, nodata=nodata, tiled=True, blockxsize=BLOCK,
            blockysize=BLOCK, compress="deflate", photometric="palette", bigtiff="if_safer",
        ) as dataset:  # fmt: skip
            dataset.write_colormap(1, {**colours, nodata: (0, 0, 0, 0)})
            dataset.update_tags(
                TIFFTAG_SOFTWARE="pixelcluster",
                # As in other label maps (`label_map.read_label_file`).
                **({"TIFFTAG_IMAGEDESCRIPTION": json.dumps(list(names))} if any(names) else {}),
                CLASSES=json.dumps(class_list(palette, names)),
            )
            yield LabelWriter(dataset, nodata)
