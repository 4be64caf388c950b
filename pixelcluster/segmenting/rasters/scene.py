"""One model for a whole raster or clip, fitted to a bounded sample of its pixels.

The generator without z: x_p = mu_{y_p} + e, e ~ N(0, Sigma_{y_p}), with learned proportions and the
contrast-sensitive Potts prior of `pixel_field`; x is Lab, or the leading principal components of more bands.
Means, covariances and proportions are fitted by EM (scikit-learn) on pixels from windows spread over the
scene. Clusters are colours (band values): what only texture tells apart needs a trained model. The labels
under it are in `scene_labels`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from pixelcluster.io.raster import Raster
from pixelcluster.io.windows import Float, fill_invalid
from pixelcluster.segmenting.alone.evidence import (
    GRID_CELLS,
    UNIT_SPREAD,
    Evidence,
    Projection,
    image_evidence,
    lab,
    stack_evidence,
)
from pixelcluster.segmenting.alone.heads import NOISE_FLOOR, TEMPER
from pixelcluster.segmenting.alone.search import find_clusters

MAX_AUTO = 20
_SAMPLE = 60_000  # pixels
_COMPONENTS = 6
_OUTLIER = 16.0  # squared Mahalanobis distance a channel at which a pixel stops counting


@dataclass(frozen=True)
class Scene:
    """A fitted raster.

    Attributes:
        project: values (..., D) of the raster -> channels (..., C).
        proportions: (K,) pi.
        mean: (K, C).
        whitener: (K, C, C), whose product with its transpose is the inverse covariance.
        log_weight: (K,) log proportions and normalisers, tempered.
        groups: the cluster each component belongs to; several make it a mixture (`guided_scene`).
        ids: of the clusters, as they are called outside.
    """

    project: Projection
    proportions: Tensor
    mean: Tensor
    whitener: Tensor
    log_weight: Tensor
    groups: tuple[int, ...]
    ids: tuple[int, ...]

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.ids)


def fit_scene(raster: Raster, n_clusters: int | None, *, seed: int = 0) -> Scene:
    """Fit the model to pixels sampled over a raster.

    Args:
        raster: open.
        n_clusters: K, or fewer where the sample has fewer distinct values; None: as many as the objective of
            `alone` finds on an overview, at most `MAX_AUTO`.
        seed: of the sample and the start; same seed, same result.

    Returns:
        The scene, clusters in order of decreasing share.

    Raises:
        PixelClusterError: no valid pixel.
    """
    values = raster.sample()
    if n_clusters is None:
        n_clusters = _count_in_overview(raster, seed)
    return fit_mixture(values, n_clusters, seed=seed)


def fit_mixture(values: Float, n_clusters: int, *, seed: int = 0) -> Scene:
    """Fit the model to sampled pixels (n, D); arguments as of `fit_scene`."""
    if len(values) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(values), _SAMPLE, replace=False)
        values = values[np.sort(chosen)]
    project = _projection(values)
    channels = project(values).astype(np.float64)
    n_clusters = min(n_clusters, len(np.unique(channels, axis=0)))
    mixture = GaussianMixture(n_clusters, reg_covar=NOISE_FLOOR, random_state=seed, n_init=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a good enough fit is enough
        mixture.fit(channels)
    order = np.argsort(-mixture.weights_, kind="stable")
    proportions = torch.from_numpy(mixture.weights_[order]).float()
    whitener = torch.from_numpy(mixture.precisions_cholesky_[order]).float()
    mean = torch.from_numpy(mixture.means_[order]).float()
    each = tuple(range(n_clusters))
    return make_scene(project, proportions, mean, whitener, each, each)


def make_scene(
    project: Projection,
    proportions: Tensor,
    mean: Tensor,
    whitener: Tensor,
    groups: tuple[int, ...],
    ids: tuple[int, ...],
) -> Scene:
    """Build a scene of components; arguments as its attributes."""
    log_determinant = whitener.diagonal(dim1=1, dim2=2).log().sum(1)
    log_weight = proportions.log() + TEMPER * log_determinant
    return Scene(project, proportions, mean, whitener, log_weight, groups, ids)


def choose_components(scene: Scene, kept: Sequence[int]) -> Scene:
    """Return the scene of some of its components, each a cluster of its own."""
    proportions = scene.proportions[kept]
    each = tuple(range(len(kept)))
    return make_scene(
        scene.project, proportions / proportions.sum(), scene.mean[kept], scene.whitener[kept], each, each
    )


def log_evidence(scene: Scene, channels: Tensor) -> Tensor:
    """Return tempered log N(x; mu_k, Sigma_k) + log pi_k up to a constant, (K, h, w), of (h, w, C)."""
    limit = _OUTLIER * channels.shape[-1]
    planes: dict[int, Tensor] = {}
    for i, mean, whitener, offset in zip(
        scene.groups, scene.mean, scene.whitener, scene.log_weight, strict=True
    ):
        distance = ((channels - mean) @ whitener).square().sum(-1)
        plane = distance.clamp_max(limit).mul_(-TEMPER / 2).add_(offset)
        planes[i] = plane.logaddexp(planes[i]) if i in planes else plane
    return torch.stack([planes[i] for i in range(scene.n_clusters)])


def count_clusters(picture: Float) -> int:
    """Return how many clusters the objective of `alone` finds in an image (h, w, 3), at most `MAX_AUTO`."""
    evidence, _ = image_evidence(picture)
    return _count_in_evidence(evidence)


def _count_in_overview(raster: Raster, seed: int) -> int:
    picture, valid = raster.overview(4 * GRID_CELLS)
    picture = fill_invalid(picture, valid)
    if picture.shape[-1] in (1, 3):
        return count_clusters(raster.display(picture))
    return _count_in_evidence(stack_evidence(picture, seed=seed))


def _count_in_evidence(evidence: Evidence) -> int:
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
