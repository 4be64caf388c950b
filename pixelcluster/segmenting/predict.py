"""From a trained model and an image to cluster probabilities of its pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixelcluster.data.folder import limit_side
from pixelcluster.model.prior import LabelPrior
from pixelcluster.segmenting.alone.guided import marks_on_grid
from pixelcluster.segmenting.blend import blended_rows, grown_rows
from pixelcluster.segmenting.chains import follow_student, run_chains
from pixelcluster.segmenting.reader import Reader
from pixelcluster.segmenting.videos.following import Trail, Trails
from pixelcluster.segmenting.watch import Watch
from pixelcluster.targets.grid import to_grid

TILE = 512
OVERLAP = 64
"""Of tiles at native resolution, pixels."""
_NEVER = -80.0  # nats; minus infinity would not survive interpolation


def predict_log_probabilities(
    reader: Reader,
    image: NDArray[np.float32],
    *,
    mask: NDArray[np.bool_] | None = None,
    scribbles: NDArray[np.int32] | None = None,
    watch: Watch | None = None,
    trail: Trail | None = None,
    place: tuple[int, int] = (0, 0),
) -> Tensor:
    """Return log p(y = k | image) at the model's working size, (K, h, w), on the CPU.

    Args:
        reader: a model, and how it is asked.
        image: (H, W, 3) float32 in [0, 1] at the working size.
        mask: (H, W) bool; False: the pixel is no evidence (a benchmark's rule).
        scribbles: (H, W) known labels, -1 elsewhere; see `Reader.asks_student`.
        watch: is shown the chains after every round.
        trail: of the frames of a video so far; this one follows them and is added.
        place: row and column of a tile in its image, whose chains then have noise of their own.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(reader.device)
    model = reader.model
    if reader.asks_student(scribbles):
        assert model.student is not None
        with torch.no_grad():
            logits: Tensor = model.student(pixels)
            logs = logits.log_softmax(1)[0].cpu()
        if trail is not None:
            logs = follow_student(model, logs, pixels, trail)
    else:
        logs = run_chains(
            reader,
            pixels,
            mask=mask,
            scribbles=scribbles,
            watch=watch,
            trail=trail,
            place=place,
        )
    return merged_log_probabilities(logs, model.config.clusters.merged)


def merged_log_probabilities(logs: Tensor, merged: Mapping[int, int]) -> Tensor:
    """Return log-probabilities (K, ...) with those of merged clusters added to the ones that take them.

    Ids stay what they are: a cluster that was merged away keeps its row, with probability about 0.
    """
    logs = logs.clone()
    for source, target in merged.items():
        logs[target] = logs[target].logaddexp(logs[source])
        logs[source] = _NEVER
    return logs


def label_image(
    reader: Reader,
    image: NDArray[np.float32],
    *,
    probabilities: bool = False,
    scribbles: NDArray[np.int32] | None = None,
    watch: Watch | None = None,
    trails: Trails | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
    """Label every pixel of an image of any size.

    The image is shrunk to the size the model was trained at, or, where the model works at native resolution,
    cut into overlapping tiles whose log-probabilities are blended. Memory grows with K times the label cells,
    not with K times the pixels.

    Args:
        reader: a model, and how it is asked.
        image: (H, W, 3) float32 in [0, 1].
        probabilities: also return them.
        scribbles: (H, W) known labels, -1 elsewhere. They stay as they are, and the chains' labels follow.
        watch: is shown the chains after every round, unless they run tile by tile.
        trails: of the frames of a video so far, by tile; this one follows them and is added.

    Returns:
        Labels (H, W) int32, and probabilities (K, H, W) float32 or None.
    """
    height, width = image.shape[:2]
    labels = np.empty((height, width), np.int32)
    soft = None
    strips = pixel_log_probabilities(
        reader,
        image,
        scribbles=scribbles,
        watch=watch,
        trails=trails,
    )
    for rows, values in strips:
        if scribbles is not None:
            known = torch.from_numpy(scribbles[rows])[None]
            certain = torch.where(known == torch.arange(len(values))[:, None, None], 0.0, _NEVER)
            values = certain.where(known >= 0, values)
        labels[rows] = values.argmax(0).numpy()
        if probabilities:
            soft = np.empty((len(values), height, width), np.float32) if soft is None else soft
            soft[:, rows] = values.softmax(0).numpy()
    return labels, soft


def pixel_log_probabilities(
    reader: Reader,
    image: NDArray[np.float32],
    *,
    scribbles: NDArray[np.int32] | None = None,
    watch: Watch | None = None,
    trails: Trails | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of pixels and their log-probabilities (K, rows, W); arguments as of `label_image`."""
    height, width = image.shape[:2]
    side, stride = reader.model.config.targets.image_side, reader.model.stack.label_stride

    def trail_of(row: int, column: int) -> Trail | None:
        return None if trails is None else trails.setdefault((row, column), Trail())

    if side is not None:
        small = limit_side(image, side)
        marks = None if scribbles is None else marks_on_grid(scribbles, (small.shape[0], small.shape[1]))
        logs = predict_log_probabilities(
            reader,
            small,
            scribbles=marks,
            watch=watch,
            trail=trail_of(0, 0),
        )
        return grown_rows([logs], logs.shape[1], height, width)

    def predict(rows: slice, columns: slice) -> Tensor:
        return tile_log_probabilities(
            reader,
            image[rows, columns],
            rows,
            columns,
            height,
            scribbles=None if scribbles is None else scribbles[rows, columns],
            trail=trail_of(rows.start, columns.start),
        )

    strips = blended_rows(height, width, predict, stride=stride, tile=TILE, overlap=OVERLAP)
    return grown_rows(strips, -(-height // stride), height, width)


def tile_log_probabilities(
    reader: Reader,
    tile: NDArray[np.float32],
    rows: slice,
    columns: slice,
    height: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    scribbles: NDArray[np.int32] | None = None,
    trail: Trail | None = None,
) -> Tensor:
    """Return the log-probabilities of a tile of a larger image on the label grid, (K, h, w).

    Args:
        reader: a model, and how it is asked.
        tile: (H, W, 3) float32 in [0, 1] at the working size.
        rows: of the image the tile covers; it begins where a label cell does.
        columns: likewise.
        height: of the whole image, pixels.
        mask: (H, W) bool; see `predict_log_probabilities`, like the rest.
        scribbles: (H, W).
        trail: of the tile.
    """
    model, stride = reader.model, reader.model.stack.label_stride
    cells = slice(rows.start // stride, -(-rows.stop // stride))
    own = replace(model, prior=_band(model.prior, cells, -(-height // stride)))
    logs = predict_log_probabilities(
        replace(reader, model=own),
        tile,
        mask=mask,
        scribbles=scribbles,
        trail=trail,
        place=(rows.start, columns.start),
    )
    if reader.asks_student(scribbles):
        logs = to_grid(logs[None], stride)[0]
    return logs


def _band(prior: LabelPrior, rows: slice, height: int) -> LabelPrior:
    """Return the prior of some rows of cells of an image of height rows: they keep their position in it."""
    if prior.rows is None:
        return prior
    table = functional.interpolate(prior.rows.T[None], size=height, mode="linear")[0, :, rows].T
    return replace(prior, rows=table)
