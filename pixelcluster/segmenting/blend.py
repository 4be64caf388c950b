"""Large images in bounded memory: overlapping tiles, blended, and grown to pixels strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Predict = Callable[[slice, slice], Tensor]
"""Rows and columns of pixels -> log-probabilities of their label cells, (K, h, w)."""

_STRIP_PIXELS = 1_000_000


def blended_rows(
    height: int, width: int, predict: Predict, *, stride: int, tile: int, overlap: int
) -> Iterator[Tensor]:
    """Predict overlapping tiles and blend their log-probabilities with weights that fall to the borders.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        predict: gives the log-probabilities of one tile.
        stride: pixels a label cell and axis.
        tile: side of a tile, pixels.
        overlap: of neighbouring tiles, pixels.

    Yields:
        Strips (K, rows, w) of the label grid, top to bottom; no more than one row of tiles is held.
    """
    step = max(1, (tile - overlap) // stride) * stride  # tiles begin where a label cell does
    grid = (-(-height // stride), -(-width // stride))
    tops, lefts = (range(0, max(side - tile + step, 1), step) for side in (height, width))
    total = weight = torch.empty(0, 0, 0)
    for top in tops:
        rows = slice(top // stride, min(-(-(top + tile) // stride), grid[0]))
        carried, carried_weight = total, weight
        for left in lefts:
            logs = predict(slice(top, min(top + tile, height)), slice(left, min(left + tile, width)))
            size = (logs.shape[1], logs.shape[2])
            if left == 0:
                total = logs.new_zeros(len(logs), rows.stop - rows.start, grid[1])
                weight = logs.new_zeros(1, rows.stop - rows.start, grid[1])
                total[:, : carried.shape[1]] += carried if top else 0
                weight[:, : carried.shape[1]] += carried_weight if top else 0
            ramp = _ramp(size[0], overlap // stride)[:, None] * _ramp(size[1], overlap // stride)
            columns = slice(left // stride, left // stride + size[1])
            total[:, : size[0], columns] += logs * ramp
            weight[:, : size[0], columns] += ramp
        done = (rows.stop if top == tops[-1] else (top + step) // stride) - rows.start
        yield total[:, :done] / weight[:, :done]
        total, weight = total[:, done:], weight[:, done:]


def grown_rows(
    strips: Iterable[Tensor], n_rows: int, height: int, width: int
) -> Iterator[tuple[slice, Tensor]]:
    """Grow a field from its label grid to pixels, bilinearly.

    Args:
        strips: (K, rows, w), together n_rows rows.
        n_rows: h of the grid.
        height: of the image, pixels.
        width: of the image, pixels.

    Yields:
        Rows of pixels, top to bottom, and their values (K, rows, width).
    """
    source = ((np.arange(height) + 0.5) * n_rows / height - 0.5).clip(0, n_rows - 1)
    above = np.floor(source).astype(int)
    below = np.minimum(above + 1, n_rows - 1)
    share = (source - above).astype(np.float32)
    at_once = max(1, _STRIP_PIXELS // width)
    held, first, top = None, 0, 0
    for strip in strips:
        new = strip.permute(1, 2, 0).numpy()
        held = new if held is None else np.concatenate([held, new])
        ready = int(np.searchsorted(below, first + len(held)))  # pixel rows whose lower cell is known
        while top < ready:
            rows = slice(top, min(top + at_once, ready))
            weight = share[rows, None, None]
            values = held[above[rows] - first] * (1 - weight) + held[below[rows] - first] * weight
            yield rows, torch.from_numpy(_widen(values, width))
            top = rows.stop
        if top < height:
            held, first = held[above[top] - first :], int(above[top])


def _ramp(length: int, overlap: int) -> Tensor:
    """Return weights of one axis of a tile, (length,), falling to both ends over the overlap."""
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 1.0
    return (distance / max(overlap, 1)).clamp_max(1.0)


def _widen(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return (rows, w, K) grown to (K, rows, width)."""
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0))
    size = (width, values.shape[0])
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in planes])
