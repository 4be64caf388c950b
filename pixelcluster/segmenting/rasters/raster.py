"""A raster of any size, labelled window by window in flat memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.errors import PixelClusterWarning
from pixelcluster.io.label_raster import BLOCK
from pixelcluster.io.raster import Raster
from pixelcluster.io.raster_scribbles import RasterScribbles, ReadMarks
from pixelcluster.io.windows import fill_invalid
from pixelcluster.segmenting.alone.guided import marks_on_grid
from pixelcluster.segmenting.alone.pixel_field import Labels
from pixelcluster.segmenting.blend import blended_rows, grown_rows
from pixelcluster.segmenting.predict import OVERLAP, TILE, tile_log_probabilities
from pixelcluster.segmenting.rasters.guided_scene import guide_scene
from pixelcluster.segmenting.rasters.outputs import LabelledWindow, RasterLabels, strip_windows
from pixelcluster.segmenting.rasters.scene import fit_scene
from pixelcluster.segmenting.rasters.scene_labels import label_windows, without_rare
from pixelcluster.segmenting.reader import Reader
from pixelcluster.segmenting.relabel import current_ids

_WINDOW = 2 * BLOCK


def label_alone(
    raster: Raster, n_clusters: int | None, *, seed: int, scribbles: RasterScribbles | None = None
) -> RasterLabels:
    """Fit the raster itself; see `segmenting.rasters.scene`.

    Args:
        raster: open.
        n_clusters: this many; None: chosen. A scene that shows fewer warns and gives those.
        seed: same seed, same result.
        scribbles: known classes, which are clamped; clusters follow them (`guided_scene`).
    """
    scene = fit_scene(raster, n_clusters, seed=seed)
    if n_clusters is not None and scene.n_clusters < n_clusters:
        warnings.warn(
            f"asked for {n_clusters} clusters, but a sample of the raster has {scene.n_clusters} values",
            PixelClusterWarning,
            stacklevel=2,
        )
    if n_clusters is None:
        scene = without_rare(scene, raster)
    named: tuple[str, ...] = ()
    if scribbles is not None:
        scene, named = guide_scene(scene, raster, scribbles, n_clusters, seed=seed), scribbles.names
    names = tuple(named[i] if i < len(named) else "" for i in range(max(scene.ids) + 1))
    return RasterLabels(names, label_windows(scene, raster, _WINDOW, scribbles))


def label_with_model(
    raster: Raster,
    reader: Reader,
    *,
    window: int | None = None,
    scribbles: RasterScribbles | None = None,
) -> RasterLabels:
    """Ask a trained model, window by window, and blend its log-probabilities.

    Args:
        raster: open, with one band or three.
        reader: a model, and how it is asked.
        window: side of a window in pixels of the raster; it is averaged to the size the model was trained
            at. None: that size itself, so that the model sees the raster's own resolution.
        scribbles: known ids, which stay as they are, and the chains' labels follow.

    Raises:
        PixelClusterError: no valid pixel.
    """
    raster.sample()  # refuses one without data before any output is begun
    model = reader.model
    side = model.config.targets.image_side or TILE
    factor = (window or side) / side
    height, width = (max(1, round(n / factor)) for n in raster.shape)
    scale = (raster.shape[0] / height, raster.shape[1] / width)
    stride = model.stack.label_stride
    marks = None if scribbles is None else _existing(scribbles, model.config.clusters.merged)

    def predict(rows: slice, columns: slice) -> Tensor:
        size = (rows.stop - rows.start, columns.stop - columns.start)
        down, across = (
            slice(round(part.start * zoom), round(part.stop * zoom))
            for part, zoom in zip((rows, columns), scale, strict=True)
        )
        values, valid = raster.read(down, across, size)
        if not valid.any():
            cells = (-(-side // stride) for side in size)
            return torch.zeros(model.generator.n_clusters, *cells)
        picture = raster.display(fill_invalid(values, valid))
        known = None if marks is None else marks_on_grid(marks(down, across), size)
        return tile_log_probabilities(reader, picture, rows, columns, height, mask=valid, scribbles=known)

    strips = blended_rows(height, width, predict, stride=stride, tile=side, overlap=min(OVERLAP, side // 4))
    rows = (values.argmax(0) for _, values in grown_rows(strips, -(-height // stride), *raster.shape))
    k = model.generator.n_clusters
    return RasterLabels(model.config.clusters.listed(k) or ("",) * k, _in_windows(rows, raster, marks))


def _existing(scribbles: RasterScribbles, merged: Mapping[int, int]) -> ReadMarks:
    """Return the reader of strokes in ids that still exist."""

    def read(rows: slice, columns: slice) -> Labels:
        return current_ids(scribbles.read(rows, columns), merged)

    return read


def _in_windows(
    strips: Iterable[Tensor], raster: Raster, marks: ReadMarks | None
) -> Iterator[LabelledWindow]:
    """Cut strips of labels (rows, W) into windows of whole tiles, with known labels and raster values."""
    waiting: list[NDArray[np.int32]] = []
    top, height = 0, raster.shape[0]
    for strip in strips:
        waiting.append(strip.numpy().astype(np.int32))
        while (n_rows := sum(map(len, waiting))) >= BLOCK or (n_rows and top + n_rows == height):
            rows = np.concatenate(waiting)
            block, waiting = rows[:BLOCK], [rows[BLOCK:]]
            for _, left, labels, values, valid in strip_windows(raster, top, block):
                if marks is not None:
                    known = marks(slice(top, top + len(block)), slice(left, left + labels.shape[1]))
                    labels = np.where(known >= 0, known, labels)
                yield top, left, labels, values, valid
            top += len(block)
