"""A raster of any size: labelled window by window, written by one writer, memory flat."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.errors import PixelClusterWarning, show_path
from pixelcluster.io.label_map import png_note
from pixelcluster.io.label_raster import BLOCK, create_label_raster
from pixelcluster.io.polygons import PolygonOptions, write_polygons
from pixelcluster.io.raster import Raster, explained
from pixelcluster.io.raster_scribbles import RasterScribbles, ReadMarks
from pixelcluster.io.windows import Bool, Float, fill_invalid
from pixelcluster.io.write import atomic_write
from pixelcluster.render.overlay import overlay, with_legend
from pixelcluster.render.palette import categorical
from pixelcluster.segmenting.alone.guided import marks_on_grid
from pixelcluster.segmenting.alone.pixel_field import Labels
from pixelcluster.segmenting.blend import blended_rows, grown_rows
from pixelcluster.segmenting.predict import OVERLAP, TILE, Mode, tile_log_probabilities
from pixelcluster.segmenting.rasters.guided_scene import guide_scene
from pixelcluster.segmenting.rasters.scene import fit_scene
from pixelcluster.segmenting.rasters.scene_labels import label_windows
from pixelcluster.segmenting.rasters.tally import Tally
from pixelcluster.segmenting.relabel import current_ids
from pixelcluster.segmenting.segmentation import ClusterRow

if TYPE_CHECKING:
    from PIL import Image

    from pixelcluster.training.model import TrainedModel

_OVERVIEW_PIXELS = 4_000_000
_WINDOW = 2 * BLOCK

LabelledWindow = tuple[int, int, NDArray[np.int32], Float, Bool]
"""Top row, left column, labels (h, w), values (h, w, D), validity (h, w)."""


@dataclass(frozen=True)
class RasterLabels:
    """What a method says of a raster: cluster names and, when iterated, labelled windows that cover it."""

    names: tuple[str, ...]
    windows: Iterator[LabelledWindow]


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
    named: tuple[str, ...] = ()
    if scribbles is not None:
        scene, named = guide_scene(scene, raster, scribbles, n_clusters, seed=seed), scribbles.names
    names = tuple(named[i] if i < len(named) else "" for i in range(max(scene.ids) + 1))
    return RasterLabels(names, label_windows(scene, raster, _WINDOW, scribbles))


def label_with_model(
    raster: Raster,
    model: TrainedModel,
    *,
    mode: Mode,
    seed: int,
    device: torch.device,
    window: int | None = None,
    scribbles: RasterScribbles | None = None,
) -> RasterLabels:
    """Ask a trained model, window by window, and blend its log-probabilities.

    Args:
        raster: open, with one band or three.
        model: fitted.
        mode: "fast" or "exact".
        seed: of the chains.
        device: where to compute.
        window: side of a window in pixels of the raster; it is averaged to the size the model was trained
            at. None: that size itself, so that the model sees the raster's own resolution.
        scribbles: known ids, which stay as they are, and the chains' labels follow.
    """
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
        return tile_log_probabilities(
            model,
            picture,
            rows,
            height,
            mode=mode,
            seed=seed,
            device=device,
            mask=valid,
            scribbles=known,
        )

    strips = blended_rows(height, width, predict, stride=stride, tile=side, overlap=min(OVERLAP, side // 4))
    rows = (values.argmax(0) for _, values in grown_rows(strips, -(-height // stride), *raster.shape))
    k = model.generator.n_clusters
    return RasterLabels(model.config.clusters.listed(k) or ("",) * k, _in_windows(rows, raster, marks))


def write_raster_outputs(
    raster: Raster,
    labels: RasterLabels,
    files: dict[str, Path],
    polygons: PolygonOptions,
    *,
    overwrite: bool,
    look: Callable[[Float, NDArray[np.int32], NDArray[np.uint8]], None] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> list[ClusterRow]:
    """Label every window and write what is wanted, all of it or nothing.

    Args:
        raster: open.
        labels: of its windows.
        files: by role: "labels" (GeoTIFF) and, where wanted, "overlay" (PNG) and "polygons".
        polygons: their least area and simplification.
        overwrite: replace existing files.
        look: called with an overview of the picture (h, w, 3), its ids (h, w), and their colours.
        progress: called with the share of the pixels that are labelled, from 0 to 1.

    Returns:
        One row a cluster; shares are of the valid pixels.
    """
    n_clusters = len(labels.names)
    palette = categorical(n_clusters)
    thumbnail, tally, done = _Thumbnail(raster, n_clusters), Tally(n_clusters), 0
    with ExitStack() as stack:
        temporary = {
            role: stack.enter_context(atomic_write(path, overwrite=overwrite)) for role, path in files.items()
        }
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
                progress(done / (raster.shape[0] * raster.shape[1]))
                shown = raster.display(values)
                thumbnail.add(top, left, window, shown, valid)
                tally.add(window[valid], shown[valid])
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
    top, height, width = 0, *raster.shape
    for strip in strips:
        waiting.append(strip.numpy().astype(np.int32))
        while (n_rows := sum(map(len, waiting))) >= BLOCK or (n_rows and top + n_rows == height):
            rows = np.concatenate(waiting)
            block, waiting = rows[:BLOCK], [rows[BLOCK:]]
            for left in range(0, width, 4 * BLOCK):
                labels = block[:, left : left + 4 * BLOCK]
                window = slice(top, top + len(block)), slice(left, left + labels.shape[1])
                values, valid = raster.read(*window)
                if marks is not None:
                    known = marks(*window)
                    labels = np.where(known >= 0, known, labels)
                yield top, left, labels, values, valid
            top += len(block)


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
        picture = overlay(self.picture, self.labels, _with_no_data(palette))
        return with_legend(picture, palette, shares.tolist(), names if any(names) else ())


def _with_no_data(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add white for the id past the last."""
    return np.concatenate([palette, np.full((1, 3), 255, np.uint8)])
