"""Affine Gaussian heads of clusters, and what they say of each pixel.

    tau log N(x_p; mu_k + A_k z_p, S_k) + log(share_k(p) + floor)

x is Lab (or the channels of the caller's stack), z the coordinates, share_k the share of cluster k among the
grid cells around p (a position prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pixelcluster.segmenting.alone.evidence import Float
from pixelcluster.segmenting.alone.hierarchy import FIELD_UNIT, Double, Int, Statistics

TEMPER = 0.3
SHARE_FLOOR = 1e-3
NOISE_FLOOR = 4.0  # variance, channel units squared: camera noise and rounding
_SHARE_WINDOW = 5  # cells
_OUTLIER = 16.0  # squared standardised residual at which a channel stops counting
_FIELD_RIDGE = 1e-3


@dataclass(frozen=True)
class Heads:
    """Affine Gaussian heads of K clusters.

    Attributes:
        mean: (K, 3) channel means.
        centre: (K, 2) mean z, in hundreds of cells (x, y).
        loading: (K, 3, 2) A_k.
        variance: (K, 3) residual variances.
        share: (h, w, K) float32, share of each cluster among the cells around a cell.
    """

    mean: Double
    centre: Double
    loading: Double
    variance: Double
    share: Float

    def choose(self, order: Int) -> Heads:
        """The heads of some clusters, in this order."""
        return Heads(
            self.mean[order],
            self.centre[order],
            self.loading[order],
            self.variance[order],
            self.share[..., order],
        )


def fit_heads(labels: Int, statistics: Statistics) -> Heads:
    """Closed-form heads of the clusters of the coarse grid.

    Args:
        labels: (h, w) cluster ids 0..K-1.
        statistics: of the K clusters.

    Returns:
        The heads.
    """
    m = statistics.moments / statistics.size[:, None]
    mean, centre = m[:, :3], m[:, 3:5]
    field = m[:, [5, 6, 6, 7]].reshape(-1, 2, 2) - centre[:, :, None] * centre[:, None, :]
    field += _FIELD_RIDGE * np.eye(2)
    cross = m[:, 11:17].reshape(-1, 3, 2) - mean[:, :, None] * centre[:, None, :]
    loading = np.linalg.solve(field, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    explained = (loading * cross).sum(-1)
    variance = np.maximum(m[:, 8:11] - mean**2 - explained, 0.0) + NOISE_FLOOR
    window = (_SHARE_WINDOW, _SHARE_WINDOW)
    share = np.stack([
        cv2.blur((labels == k).astype(np.float32), window, borderType=cv2.BORDER_REPLICATE)
        for k in range(len(mean))
    ], -1)  # fmt: skip
    return Heads(mean, centre, loading, variance, share)


def log_unary(pixels: Float, row: Int, column: Int, heads: Heads, shape: tuple[int, int]) -> Float:
    """Tempered log likelihood and log position prior of each cluster.

    Args:
        pixels: (..., 3) channels.
        row: of each pixel in the image; broadcast to the pixels' shape.
        column: likewise.
        heads: of the K clusters.
        shape: (H, W) of the image.

    Returns:
        (..., K) float32, nats.
    """
    h, w, _ = heads.share.shape
    u = (((column + 0.5) * (w / shape[1]) - 0.5) / FIELD_UNIT).astype(np.float32)
    v = (((row + 0.5) * (h / shape[0]) - 0.5) / FIELD_UNIT).astype(np.float32)
    offset = heads.mean - (heads.loading @ heads.centre[:, :, None])[:, :, 0]
    planes = np.concatenate([heads.loading, offset[:, :, None]], 2).astype(np.float32)
    fit = np.zeros((*pixels.shape[:-1], len(heads.mean)), dtype=np.float32)
    for c in range(3):
        residual = (u[..., None] * planes[:, c, 0] + planes[:, c, 2]) + v[..., None] * planes[:, c, 1]
        residual -= pixels[..., c, None]
        residual *= residual
        residual /= heads.variance[:, c].astype(np.float32)
        np.minimum(residual, _OUTLIER, out=residual)
        residual += np.log(heads.variance[:, c]).astype(np.float32)
        fit -= residual
    fit *= np.float32(0.5 * TEMPER)
    fit += np.log(heads.share + np.float32(SHARE_FLOOR))[
        cells_of(shape[0], h)[row], cells_of(shape[1], w)[column]
    ]
    return fit


def cells_of(n_pixels: int, n_cells: int) -> Int:
    """Return the grid cell of each pixel of an axis, (n_pixels,)."""
    return np.arange(n_pixels) * n_cells // n_pixels
