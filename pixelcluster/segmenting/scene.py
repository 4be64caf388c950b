"""One model for a whole raster, fitted to a bounded sample of its pixels and applied window by window.

The generator without z: x_p = mu_{y_p} + e, e ~ N(0, Sigma_{y_p}), with learned proportions and the
contrast-sensitive Potts prior of `pixel_field`; x is Lab, or the leading principal components of more bands.
Means, covariances and proportions are fitted by EM (scikit-learn) on pixels from windows spread over the
scene. Labels are approached by block Gibbs sweeps at temperature 0, from the likeliest label of each pixel
alone. Clusters are colours (band values): what only texture tells apart needs a trained model.

A sweep moves information by less than 4 pixels: windows with a margin of 4 pixels a sweep give exactly the
labels of the whole scene, and no seam.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from pixelcluster.io.raster import Raster
from pixelcluster.io.windows import Bool, Float, fill_invalid
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling import gibbs
from pixelcluster.sampling.noise import Streams
from pixelcluster.segmenting.evidence import (
    GRID_CELLS,
    UNIT_SPREAD,
    Projection,
    image_evidence,
    lab,
    stack_evidence,
)
from pixelcluster.segmenting.heads import NOISE_FLOOR, TEMPER
from pixelcluster.segmenting.pixel_field import CONTRAST, POTTS, SWEEPS, Labels
from pixelcluster.segmenting.single import find_clusters

MARGIN = 4 * SWEEPS  # pixels; even, so that the colours of the grid stay where they are
MAX_AUTO = 20
_SAMPLE = 60_000  # pixels
_COMPONENTS = 6
_OUTLIER = 16.0  # squared Mahalanobis distance a channel at which a pixel stops counting


@dataclass(frozen=True)
class Scene:
    """A fitted raster.

    Attributes:
        project: values (..., D) of the raster -> channels (..., C).
        mean: (K, C).
        whitener: (K, C, C), whose product with its transpose is the inverse covariance.
        log_weight: (K,) log proportions and normalisers, tempered.
    """

    project: Projection
    mean: Tensor
    whitener: Tensor
    log_weight: Tensor

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.mean)


def fit_scene(raster: Raster, n_clusters: int | None, *, seed: int = 0) -> Scene:
    """Fit the model to pixels sampled over a raster.

    Args:
        raster: open.
        n_clusters: K, or fewer where the sample has fewer distinct values; None: as many as the objective of
            `single` finds on an overview, at most `MAX_AUTO`.
        seed: of the sample and the start; same seed, same result.

    Returns:
        The scene, clusters in order of decreasing share.

    Raises:
        PixelClusterError: no valid pixel.
    """
    values = raster.sample()
    if len(values) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(values), _SAMPLE, replace=False)
        values = values[np.sort(chosen)]
    if n_clusters is None:
        n_clusters = _count_clusters(raster, seed)
    project = _projection(values)
    channels = project(values).astype(np.float64)
    n_clusters = min(n_clusters, len(np.unique(channels, axis=0)))
    mixture = GaussianMixture(n_clusters, reg_covar=NOISE_FLOOR, random_state=seed, n_init=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a good enough fit is enough
        mixture.fit(channels)
    order = np.argsort(-mixture.weights_, kind="stable")
    whitener = torch.from_numpy(mixture.precisions_cholesky_[order]).float()
    log_determinant = whitener.diagonal(dim1=1, dim2=2).log().sum(1)
    log_weight = torch.from_numpy(np.log(mixture.weights_[order])).float() + TEMPER * log_determinant
    return Scene(project, torch.from_numpy(mixture.means_[order]).float(), whitener, log_weight)


def label_window(scene: Scene, values: Float, valid: Bool) -> Labels:
    """Label one window.

    Args:
        scene: fitted.
        values: (h, w, D) as read from the raster.
        valid: (h, w).

    Returns:
        (h, w) int32; those nearer than `MARGIN` to a side that is not the raster's own are provisional.
    """
    channels = torch.from_numpy(np.ascontiguousarray(scene.project(values)))
    evidence = log_evidence(scene, channels)[None]
    guide = channels[..., :3].permute(2, 0, 1)[None]
    mask = torch.from_numpy(valid)[None]
    prior = LabelPrior(torch.full((scene.n_clusters,), 1 / scene.n_clusters), potts_weight=POTTS)
    graph = PixelGrid(*valid.shape, guide=guide, contrast=CONTRAST, mask=mask)
    labels = evidence.max(1).indices
    for _ in range(SWEEPS):
        labels, _ = gibbs.sweep(Streams(0, [0]), labels, evidence, prior, graph, temperature=0)
    return labels[0].to(torch.int32).numpy()


def log_evidence(scene: Scene, channels: Tensor) -> Tensor:
    """Return tempered log N(x; mu_k, Sigma_k) + log pi_k up to a constant, (K, h, w), of (h, w, C)."""
    limit = _OUTLIER * channels.shape[-1]
    planes = []
    for mean, whitener, offset in zip(scene.mean, scene.whitener, scene.log_weight, strict=True):
        distance = ((channels - mean) @ whitener).square().sum(-1)
        planes.append(distance.clamp_max(limit).mul_(-TEMPER / 2).add_(offset))
    return torch.stack(planes)


def label_windows(scene: Scene, raster: Raster, side: int) -> Iterator[tuple[int, int, Labels, Float, Bool]]:
    """Label a raster window by window, each read with its margin.

    Args:
        scene: fitted to the raster.
        raster: open.
        side: of the windows, pixels; even.

    Yields:
        Top row, left column, labels (h, w), values (h, w, D) and validity (h, w) of each window, by rows.
    """
    height, width = raster.shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            low, start = max(0, top - MARGIN), max(0, left - MARGIN)
            rows = slice(low, min(height, top + side + MARGIN))
            columns = slice(start, min(width, left + side + MARGIN))
            values, valid = raster.read(rows, columns)
            inner = (slice(top - low, top - low + side), slice(left - start, left - start + side))
            if valid[inner].any():
                labels = label_window(scene, values, valid)[inner]
            else:
                labels = np.zeros(valid[inner].shape, np.int32)
            yield top, left, labels, values[inner], valid[inner]


def _count_clusters(raster: Raster, seed: int) -> int:
    picture, valid = raster.overview(4 * GRID_CELLS)
    picture = fill_invalid(picture, valid)
    if picture.shape[-1] in (1, 3):
        evidence, _ = image_evidence(raster.display(picture), seed=seed)
    else:
        evidence, _ = stack_evidence(picture, seed=seed)
    return min(int(find_clusters(evidence, None).clusters.max()) + 1, MAX_AUTO)


def _projection(values: Float) -> Projection:
    """Return the way from values to channels: Lab of colours, lightness of grey, else components."""
    depth = values.shape[-1]
    if depth == 3:
        return lambda pixels: lab(pixels.reshape(1, -1, 3)).reshape(pixels.shape)
    if depth == 1:
        return lambda pixels: pixels * np.float32(100)
    fitted = PCA(min(depth, _COMPONENTS), svd_solver="covariance_eigh").fit(values)
    scale = UNIT_SPREAD / max(float(fitted.explained_variance_[0]), 1e-12) ** 0.5
    mean, basis = fitted.mean_.astype(np.float32), (fitted.components_.T * scale).astype(np.float32)

    def project(pixels: Float) -> Float:
        components: Float = (pixels - mean) @ basis
        return components

    return project
