"""The pixels' labels: a Potts field on the 8-neighbour grid around the clusters found on the coarse grid.

    log p(y_p = k | rest) = tau log N(x_p; mu_k + A_k z_p, S_k) + log(share_k(p) + floor)
                            + beta sum_q w_pq [y_q = k] + constant

The first two terms are in `heads`; w_pq = exp(-|x_p - x_q|^2 / 2 g^2) / |p - q| (contrast-sensitive
weights: Boykov and Jolly, ICCV 2001). The mode is approached by block Gibbs sweeps at temperature 0: the four
parity classes of the grid are updated in turn, each exactly given the others, and only near frontiers. Pixels
are visited in strips, so memory is bounded and time is linear in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelcluster.segmenting.alone.evidence import Float
from pixelcluster.segmenting.alone.heads import Heads, cells_of, log_unary
from pixelcluster.segmenting.alone.hierarchy import Int

Labels = NDArray[np.int32]
Channels = Callable[[int, int], Float]  # rows from, to -> their channels (rows, W, 3) at full resolution

POTTS = 2.0
CONTRAST = 8.0  # channel units
SWEEPS = 3
_REACH = 1.5  # cells: how far from a frontier of the coarse grid a pixel may change
_STRIP = 150_000  # pixels
_OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def grow_to_pixels(labels: Int, height: int, width: int) -> Labels:
    """Nearest-cell labels of the pixels, (H, W) int32."""
    rows, columns = cells_of(height, labels.shape[0]), cells_of(width, labels.shape[1])
    grown: Labels = labels.astype(np.int32)[rows][:, columns]
    return grown


def map_labels(
    labels: Labels,
    channels: Channels,
    heads: Heads,
    *,
    known: NDArray[np.bool_] | None = None,
    share_done: Callable[[float], None] | None = None,
) -> Labels:
    """Move the frontiers to the mode of the field.

    Args:
        labels: (H, W) start, as from `grow_to_pixels`.
        channels: reads the channels of a range of rows.
        heads: of the clusters.
        known: (H, W) bool; True: the label is clamped.
        share_done: called with the share of the rows that are done.

    Returns:
        (H, W) labels.
    """
    height, width = labels.shape
    scale = max(height / heads.share.shape[0], width / heads.share.shape[1])
    reach = int(np.ceil(_REACH * scale))
    out: Labels = labels.copy()
    for start, stop in _strips(height, width, 4 * reach):  # or the margins would outweigh the strip
        low, high = max(0, start - reach - 1), min(height, stop + reach + 1)
        # The strip above is final and is read, the strip below is still the start: one pass, no seam.
        block = out[low:high]
        movable = _near_frontier(block, reach)
        movable[: start - low] = False
        movable[stop - low :] = False
        if known is not None:
            movable &= ~known[low:high]
        pixels = channels(low, high)
        _sweep_block(block, movable, pixels, heads, low, labels.shape)
        if share_done is not None:
            share_done(stop / height)
    return out


def label_probabilities(labels: Labels, channels: Channels, heads: Heads) -> Float:
    """Conditionals of every pixel given the labels of its neighbours.

    Args:
        labels: (H, W), as from `map_labels`.
        channels: reads the channels of a range of rows.
        heads: of the K clusters.

    Returns:
        (K, H, W) float32, summing to 1 over K.
    """
    height, width = labels.shape
    n_clusters = len(heads.mean)
    out = np.empty((n_clusters, height, width), dtype=np.float32)
    clusters = np.arange(n_clusters)
    for start, stop in _strips(height, width):
        low, high = max(0, start - 1), min(height, stop + 1)
        pixels = channels(low, high)
        padded = _pad(labels[low:high], -1)
        row, column = (g.ravel() for g in np.mgrid[start - low : stop - low, :width])
        score = log_unary(pixels[row, column], row + low, column, heads, labels.shape)
        for (dy, dx), weight in zip(_OFFSETS, _pair_weights(_pad(pixels, np.inf), row, column), strict=True):
            neighbour = padded[row + 1 + dy, column + 1 + dx]
            score += POTTS * weight[:, None] * (neighbour[:, None] == clusters)
        score -= score.max(1, keepdims=True)
        np.exp(score, out=score)
        score /= score.sum(1, keepdims=True)
        out[:, start:stop] = score.T.reshape(n_clusters, stop - start, width)
    return out


def _sweep_block(
    block: Labels,
    movable: NDArray[np.bool_],
    pixels: Float,
    heads: Heads,
    first_row: int,
    shape: tuple[int, int],
) -> None:
    """Sweep the movable pixels of a block in place."""
    labels, colours = _pad(block, -1), _pad(pixels, np.inf)
    for _ in range(SWEEPS):
        for parity in range(4):
            # A label no neighbour has pays the whole Potts cost: amid its own a pixel has no other choice.
            undecided = movable & _near_frontier(labels[1:-1, 1:-1], 1)
            top, left = divmod(parity, 2)
            row, column = np.nonzero(undecided[top::2, left::2])
            row, column = 2 * row + top, 2 * column + left
            unary = log_unary(pixels[row, column], row + first_row, column, heads, shape)
            pair = POTTS * _pair_weights(colours, row, column)
            around = np.stack([labels[row + 1 + dy, column + 1 + dx] for dy, dx in _OFFSETS])
            index = np.arange(len(row))
            best = labels[row + 1, column + 1]
            best_score = unary[index, best] + (pair * (around == best)).sum(0)
            for candidate in around:
                label = np.maximum(candidate, 0)
                score = unary[index, label] + (pair * (around == candidate)).sum(0)
                better = (candidate >= 0) & (score > best_score)
                best, best_score = np.where(better, candidate, best), np.where(better, score, best_score)
            labels[row + 1, column + 1] = best
    block[:] = labels[1:-1, 1:-1]


def _pair_weights(padded: Float, row: Int, column: Int) -> Float:
    """w_pq of n pixels p and their neighbours q, (8, n), of pixels (1 + h + 1, 1 + w + 1, 3).

    The rim around the pixels is infinite, so that what lies outside weighs nothing.
    """
    here = padded[row + 1, column + 1]
    weights = np.empty((len(_OFFSETS), len(row)), np.float32)
    for weight, (dy, dx) in zip(weights, _OFFSETS, strict=True):
        difference = padded[row + 1 + dy, column + 1 + dx] - here
        square = np.einsum("nc,nc->n", difference, difference)
        weight[:] = np.exp(square * np.float32(-0.5 / CONTRAST**2)) / np.float32(np.hypot(dy, dx))
    return weights


def _near_frontier(labels: Labels, reach: int) -> NDArray[np.bool_]:
    """Pixels within `reach` of another label."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    values = labels.astype(np.float32)  # exact below 2^24 clusters
    near: NDArray[np.bool_] = cv2.dilate(values, kernel) != cv2.erode(values, kernel)
    return near


def _pad(values: NDArray[Any], rim: float) -> NDArray[Any]:
    """Put a rim of one pixel around (h, w[, C])."""
    return np.pad(values, ((1, 1), (1, 1), (0, 0))[: values.ndim], constant_values=rim)


def _strips(height: int, width: int, at_least: int = 1) -> Iterator[tuple[int, int]]:
    rows = max(at_least, _STRIP // width)
    for start in range(0, height, rows):
        yield start, min(height, start + rows)
