"""The files of a labelled raster: label map, overlay, polygons and table, window by window in flat memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import show_path
from pixelcluster.io.label_map import png_note
from pixelcluster.io.label_raster import BLOCK, create_label_raster
from pixelcluster.io.polygons import PolygonOptions, write_polygons
from pixelcluster.io.raster import Raster, explained
from pixelcluster.io.windows import Bool, Float
from pixelcluster.io.write import atomic_set
from pixelcluster.render.overlay import overlay, swatches, with_legend
from pixelcluster.render.palette import categorical
from pixelcluster.segmenting.rasters.tally import Tally
from pixelcluster.segmenting.segmentation import ClusterRow

if TYPE_CHECKING:
    from PIL import Image

_OVERVIEW_PIXELS = 4_000_000

LabelledWindow = tuple[int, int, NDArray[np.int32], Float, Bool]
"""Top row, left column, labels (h, w), values (h, w, D), validity (h, w)."""


@dataclass(frozen=True)
class RasterLabels:
    """What a method says of a raster: cluster names and, when iterated, labelled windows that cover it."""

    names: tuple[str, ...]
    windows: Iterator[LabelledWindow]


def strip_windows(raster: Raster, top: int, labels: NDArray[np.int32]) -> Iterator[LabelledWindow]:
    """Cut labels (h, W) of rows from `top` on into windows of whole tiles, with the raster's values."""
    rows = slice(top, top + len(labels))
    for left in range(0, labels.shape[1], 4 * BLOCK):
        part = labels[:, left : left + 4 * BLOCK]
        yield top, left, part, *raster.read(rows, slice(left, left + part.shape[1]))


def write_raster_outputs(
    raster: Raster,
    labels: RasterLabels,
    files: dict[str, Path],
    polygons: PolygonOptions,
    *,
    overwrite: bool,
    look: Callable[[Float, NDArray[np.int32], NDArray[np.uint8]], None] | None = None,
    share_done: Callable[[float], None] = lambda share: None,
) -> list[ClusterRow]:
    """Label every window and write what is wanted, all of it or nothing.

    Args:
        raster: open.
        labels: of its windows.
        files: by role: "labels" (GeoTIFF) and, where wanted, "overlay" (PNG) and "polygons".
        polygons: their least area and simplification.
        overwrite: replace existing files.
        look: called with an overview of the picture (h, w, 3), its ids (h, w), and their colours.
        share_done: called with the share of the pixels that are labelled, from 0 to 1.

    Returns:
        One row a cluster; shares are of the valid pixels.

    Raises:
        PixelClusterError: the files cannot be written.
    """
    n_clusters = len(labels.names)
    palette = categorical(n_clusters)
    thumbnail, tally, done = _Thumbnail(raster, n_clusters), Tally(n_clusters), 0
    with atomic_set(list(files.values()), overwrite=overwrite) as temporaries:
        temporary = dict(zip(files, temporaries, strict=True))
        unwritten = explained(
            f"{show_path(files['labels'])}: cannot be written", "free the disk, or choose another with -o"
        )
        with (
            unwritten,
            create_label_raster(temporary["labels"], raster, palette, labels.names) as writer,
        ):
            for top, left, window, values, valid in labels.windows:
                writer.write(top, left, window, valid)
                done += window.size
                share_done(done / (raster.shape[0] * raster.shape[1]))
                shown = raster.display(values)
                thumbnail.add(top, left, window, shown, valid)
                tally.add(window[valid], shown[valid], _of_one_band(raster, top, left, valid))
        if "overlay" in files:
            picture = thumbnail.draw(palette, tally.shares(), labels.names)
            picture.save(temporary["overlay"], "PNG", pnginfo=png_note("overlay of clusters"))
        if "polygons" in files:
            suffix = files["polygons"].suffix.lower()
            unmade = explained(
                f"{show_path(files['polygons'])}: cannot be made", "check the CRS, or leave --polygons out"
            )
            with unmade:
                write_polygons(
                    temporary["polygons"], suffix, raster, temporary["labels"], labels.names, polygons
                )
    if look is not None:
        look(thumbnail.picture, thumbnail.labels, _with_no_data(palette))
    return tally.rows(labels.names)


def _of_one_band(raster: Raster, top: int, left: int, valid: Bool) -> Float | None:
    """Return the valid values (n,) of a window (h, w) as the file holds them; None where bands are several.

    They are read again, as those that clusters are found in are scaled and clipped.
    """
    if len(raster.bands) > 1:
        return None
    rows, columns = slice(top, top + valid.shape[0]), slice(left, left + valid.shape[1])
    values, _ = raster.read(rows, columns, scaled=False)
    return values[..., 0][valid]


class _Thumbnail:
    """A picture of the scene and its labels, one pixel in every few, filled in window by window."""

    def __init__(self, raster: Raster, n_clusters: int) -> None:
        height, width = raster.shape
        self.step = max(1, math.ceil(math.sqrt(height * width / _OVERVIEW_PIXELS)))
        size = (-(-height // self.step), -(-width // self.step))
        self.picture = np.ones((*size, 3), np.float32)
        self.labels = np.full(size, n_clusters, np.int32)  # the id past the last: no data

    def add(self, top: int, left: int, labels: NDArray[np.int32], colours: Float, valid: Bool) -> None:
        """Take in one window."""
        rows, columns = slice(-top % self.step, None, self.step), slice(-left % self.step, None, self.step)
        seen = valid[rows, columns]
        down, across = -(-top // self.step), -(-left // self.step)
        here = (slice(down, down + seen.shape[0]), slice(across, across + seen.shape[1]))
        self.picture[here][seen] = colours[rows, columns][seen]
        self.labels[here][seen] = labels[rows, columns][seen]

    def draw(
        self, palette: NDArray[np.uint8], shares: NDArray[np.float64], names: Sequence[str]
    ) -> Image.Image:
        """Return the overlay with its legend; pixels without data are white."""
        colours = _with_no_data(palette)
        picture = overlay(self.picture, self.labels, colours)
        shown = swatches(self.picture, self.labels, colours)
        return with_legend(picture, shown, shares.tolist(), names if any(names) else ())


def _with_no_data(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add white for the id past the last."""
    return np.concatenate([palette, np.full((1, 3), 255, np.uint8)])
