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
        padded = _pad_labels(labels[low:high])
        weights = _pair_weights(pixels)
        row, column = (g.ravel() for g in np.mgrid[start - low : stop - low, :width])
        score = log_unary(pixels[row, column], row + low, column, heads, labels.shape)
        for (dy, dx), weight in zip(_OFFSETS, weights, strict=True):
            neighbour = padded[row + 1 + dy, column + 1 + dx]
            score += POTTS * weight[row, column][:, None] * (neighbour[:, None] == clusters)
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
    weights = _pair_weights(pixels)
    padded = _pad_labels(block)
    classes = []
    for parity in range(4):
        chosen = movable.copy()
        chosen[1 - parity // 2 :: 2] = False
        chosen[:, 1 - parity % 2 :: 2] = False
        row, column = np.nonzero(chosen)
        unary = log_unary(pixels[row, column], row + first_row, column, heads, shape)
        pair = np.stack([POTTS * weight[row, column] for weight in weights])
        classes.append((row, column, unary, pair))
    for _ in range(SWEEPS):
        for row, column, unary, pair in classes:
            around = np.stack([padded[row + 1 + dy, column + 1 + dx] for dy, dx in _OFFSETS])
            index = np.arange(len(row))
            best = padded[row + 1, column + 1]
            best_score = unary[index, best] + (pair * (around == best)).sum(0)
            # A label no neighbour has pays the whole Potts cost: only the neighbours' labels are candidates.
            for candidate in around:
                label = np.maximum(candidate, 0)
                score = unary[index, label] + (pair * (around == candidate)).sum(0)
                better = (candidate >= 0) & (score > best_score)
                best, best_score = np.where(better, candidate, best), np.where(better, score, best_score)
            padded[row + 1, column + 1] = best
    block[:] = padded[1:-1, 1:-1]


def _pair_weights(pixels: Float) -> list[Float]:
    """w_pq of each offset, (h, w) each; neighbours outside the block weigh nothing."""
    height, width, _ = pixels.shape
    result = []
    for dy, dx in _OFFSETS:
        weight = np.zeros((height, width), dtype=np.float32)
        here = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx)))
        square = ((pixels[here] - pixels[there]) ** 2).sum(-1)
        weight[here] = np.exp(square * (-0.5 / CONTRAST**2)) / np.float32(np.hypot(dy, dx))
        result.append(weight)
    return result


def _near_frontier(labels: Labels, reach: int) -> NDArray[np.bool_]:
    """Pixels within `reach` of another label."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    values = labels.astype(np.float32)  # exact below 2^24 clusters
    near: NDArray[np.bool_] = cv2.dilate(values, kernel) != cv2.erode(values, kernel)
    return near


def _pad_labels(labels: Labels) -> Labels:
    return np.pad(labels, 1, constant_values=-1)


def _strips(height: int, width: int, at_least: int = 1) -> Iterator[tuple[int, int]]:
    rows = max(at_least, _STRIP // width)
    for start in range(0, height, rows):
        yield start, min(height, start + rows)
