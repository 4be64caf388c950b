"""What a single image shows the generator: the default target stack of the mode without a model.

A stack has three parts. `channels` are continuous (CIE Lab, or the leading principal components of a stack
given by the caller) and are explained by heads that are affine in the latent field. The codes are soft
one-hot (population) codes of each channel and of a dictionary of local texture (`textons`); the Gaussian
residual of a code, whitened by its mean, is the chi-square distance. Everything lies on a grid of about
`GRID_CELLS` cells at most, so the cost of the inference does not grow with the image.

Sources: Martin, Fowlkes, Malik, "Learning to detect natural image boundaries using local brightness, color,
and texture cues" (TPAMI 2004): soft histograms of Lab and textons; Leung, Malik (IJCV 2001): textons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelcluster.segmenting.alone.textons import N_TEXTONS, move_means, nearest, textons

Float = NDArray[np.float32]
Projection = Callable[[Float], Float]  # pixels (..., D) of the image or stack -> channels (..., 3)

GRID_CELLS = 38_900  # about 241 x 161: half the side of a 481 x 321 photograph
N_BINS = 12
_SAMPLE = 4000
_LAB_RANGES = ((0.0, 100.0), (-40.0, 50.0), (-50.0, 60.0))  # covers almost every pixel of a photograph
UNIT_SPREAD = 20.0  # one standard deviation of a whitened channel, in units of Lab
_DARK = 0.3  # median lightness that darker images are brought to; chosen as the constants of `hierarchy`
_STRONGEST = 0.5  # exponent: beyond it noise is what becomes visible


@dataclass(frozen=True)
class Evidence:
    """The target stack of one image on the grid.

    Attributes:
        channels: (h, w, 3) float32, Lab or three whitened components of Lab-like spread.
        channel_codes: three soft codes, each (n_bins, h, w) float32, summing to 1 over bins.
        texture_codes: (n_textons, h, w) float32, summing to what the cell's texture counts, 1 at most.
        weight: (h, w) in [0, 1], the share of each cell that counts; None: all of every cell.
    """

    channels: Float
    channel_codes: tuple[Float, Float, Float]
    texture_codes: Float
    weight: Float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.channels.shape[0], self.channels.shape[1]


def grid_shape(height: int, width: int, *, cells: int = GRID_CELLS) -> tuple[int, int]:
    """Rows and columns of a grid of about `cells` cells with the image's proportions, never finer than it."""
    scale = min(1.0, (cells / (height * width)) ** 0.5)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    # a strip one pixel wide keeps its one row, and must not have more columns for it
    return min(rows, max(1, cells // columns + 1)), min(columns, max(1, cells // rows + 1))


def lab(image: Float) -> Float:
    """Convert sRGB (H, W, 3) in [0, 1] to CIE Lab (D65), L in 0..100."""
    contiguous = np.ascontiguousarray(image, dtype=np.float32)
    return np.asarray(cv2.cvtColor(contiguous, cv2.COLOR_RGB2LAB), dtype=np.float32)


def brightening(lightness: Float) -> float:
    """Return the power of the lightness (h, w), 0..100, that gives a dark image's shades the room of others'.

    Where the median is below 0.3 of the range, the power puts it there, but it is 0.5 at least; else it is 1.
    """
    median = float(np.median(lightness)) / 100
    return 1.0 if median >= _DARK else max(float(np.log(_DARK) / np.log(max(median, 1e-3))), _STRONGEST)


def brighten(channels: Float, power: float) -> Float:
    """Raise the lightness of Lab channels (..., 3) to a power, in place."""
    if power < 1:
        channels[..., 0] = 100 * (channels[..., 0] / 100).clip(0, 1) ** np.float32(power)
    return channels


def shrink(planes: Float, shape: tuple[int, int]) -> Float:
    """Area-average (H, W[, C]) to rows x columns."""
    if planes.shape[:2] == shape:
        return planes
    small = cv2.resize(planes, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def soft_codes(channel: Float, low: float, high: float, n_bins: int = N_BINS) -> Float:
    """Population code of one channel: Gaussian bumps at `n_bins` centres, normalised.

    Args:
        channel: (h, w).
        low: lower end of the range; values outside fall into the end bins.
        high: upper end.
        n_bins: number of centres.

    Returns:
        (n_bins, h, w) float32, summing to 1 over the bins.
    """
    step = (high - low) / n_bins
    centres = (low + (np.arange(n_bins, dtype=np.float32) + 0.5) * step).astype(np.float32)
    inside = np.clip(channel, low, high)
    distance = (inside[None] - centres[:, None, None]) / np.float32(0.8 * step)
    codes: Float = np.exp(-0.5 * distance**2).astype(np.float32)
    codes /= codes.sum(0, keepdims=True)
    return codes


def dictionary_codes(features: Float, shape: tuple[int, int], *, seed: int) -> Float:
    """Dictionary of any descriptors of one image by K-means from a random start, as occupancies on the grid.

    Args:
        features: (H, W, D) descriptors.
        shape: rows and columns of the grid.
        seed: of the sample and the start.

    Returns:
        (n_words, h, w) float32: share of each grid cell taken by each of 32 words, fewer where there are
            fewer distinct descriptors.
    """
    points = features.reshape(-1, features.shape[-1])
    generator = np.random.default_rng(seed)
    seen = points[generator.choice(len(points), min(_SAMPLE, len(points)), replace=False)]
    start = generator.choice(len(seen), min(N_TEXTONS, len(seen)), replace=False)
    means = move_means(seen, np.unique(seen[start], axis=0))
    return occupancies(nearest(points, means).reshape(features.shape[:2]), len(means), shape)


def occupancies(words: NDArray[np.intp], n_words: int, shape: tuple[int, int]) -> Float:
    """Return the share of each grid cell taken by each word, (n_words, h, w) float32, of words (H, W)."""
    return np.stack([shrink((words == k).astype(np.float32), shape) for k in range(n_words)])


def fine_channels(image: Float) -> tuple[Float, float]:
    """Return Lab (h, w, 3) at twice the grid's resolution, of dark images brightened, and the power of that.

    Textons live there: half a photograph's detail is lost on the grid itself.
    """
    fine = lab(shrink(image, grid_shape(*image.shape[:2], cells=4 * GRID_CELLS)))
    power = brightening(fine[..., 0])
    return brighten(fine, power), power


def image_evidence(image: Float) -> tuple[Evidence, Projection]:
    """The default stack: Lab (of dark images brightened), its soft codes, and textons of the lightness.

    Args:
        image: (H, W, 3) sRGB in [0, 1].

    Returns:
        The stack on the grid, and the way from pixels to channels, for full resolution.
    """
    shape = grid_shape(*image.shape[:2])
    fine, power = fine_channels(image)
    channels = shrink(fine, shape)
    first, second, third = (soft_codes(channels[..., c], *limits) for c, limits in enumerate(_LAB_RANGES))
    words = textons(fine[..., 0] / np.float32(100))
    texture = occupancies(words, N_TEXTONS, shape)
    return Evidence(channels, (first, second, third), texture), lambda pixels: brighten(lab(pixels), power)


def stack_evidence(targets: Float, *, seed: int = 0) -> Evidence:
    """The same three parts made from a target stack of the caller.

    Args:
        targets: (H, W, D) any per-pixel descriptors.
        seed: of the dictionary.

    Returns:
        Three leading principal components as channels and a dictionary of the descriptors as texture.
    """
    height, width, depth = targets.shape
    shape = grid_shape(height, width)
    planes = [shrink(np.ascontiguousarray(targets[..., d], dtype=np.float32), shape) for d in range(depth)]
    small = np.stack(planes, -1)
    centred = small - small.mean((0, 1))
    flat = centred.reshape(-1, depth)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    leading = vectors[:, ::-1][:, :3]
    # An eigenvector comes with either sign: the largest loading is made positive.
    leading = leading * np.sign(leading[np.abs(leading).argmax(0), np.arange(leading.shape[1])])
    basis = np.zeros((depth, 3), dtype=np.float32)
    basis[:, : leading.shape[1]] = leading * (UNIT_SPREAD / max(float(values[-1]), 1e-12) ** 0.5)

    channels = centred @ basis
    limit = 2.5 * UNIT_SPREAD
    first, second, third = (soft_codes(channels[..., c], -limit, limit) for c in range(3))
    return Evidence(channels, (first, second, third), dictionary_codes(centred, shape, seed=seed))
