"""Features of a trained trunk, clustered by K-means: the last step of rivals that learn features only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.baselines.per_pixel.base import MaskedImages
from pixelcluster.baselines.per_pixel.kmeans import Rows, fit_kmeans
from pixelcluster.baselines.per_pixel.network import STRIDE, as_tensor
from pixelcluster.targets.grid import cells_used

_IMAGES = 1000
"""Images at most whose features are computed to cluster them."""


def cluster_features(
    features: Callable[[Tensor], Tensor],
    images: MaskedImages,
    n_clusters: int,
    *,
    seed: int,
    device: torch.device,
    max_rows: int = 50_000,
    n_starts: int = 3,
) -> Tensor:
    """Return K-means centres (K, D) of the features of unmasked cells, see `drawn`.

    Args:
        features: (B, C, H, W) -> (B, D, h, w) at stride 4.
        images: each with its mask.
        n_clusters: K.
        seed: of the drawn images, cells and the starts.
        device: where features are computed and the centres go.
        max_rows: cells to fit on, an equal share of every drawn image.
        n_starts: K-means++ starts.

    Raises:
        PixelClusterError: fewer usable cells than clusters.
    """
    images = drawn(images, seed)
    rows = feature_rows(features, images, device)
    model = fit_kmeans(rows, len(images), n_clusters, seed=seed, max_rows=max_rows, n_starts=n_starts)
    return torch.from_numpy(np.asarray(model.cluster_centers_, dtype=np.float32)).to(device)


def drawn(images: MaskedImages, seed: int) -> MaskedImages:
    """Return the images themselves, or 1,000 of more: features of all would take hours of a large set."""
    if len(images) <= _IMAGES:
        return images
    chosen = np.random.default_rng(seed).choice(len(images), _IMAGES, replace=False)
    return [images[index] for index in chosen]


@torch.no_grad()
def feature_rows(
    features: Callable[[Tensor], Tensor], images: MaskedImages, device: torch.device
) -> Iterator[Rows]:
    """Yield the features (P, D) of the used cells of each image."""
    for image, mask in images:
        grid = features(as_tensor([image]).to(device))[0].cpu()
        yield grid[:, cells_used(torch.from_numpy(mask), STRIDE)].T.numpy()


def nearness(features: Tensor, centres: Tensor) -> Tensor:
    """Return minus half the squared distance to each centre, but for a term all share, (B, K, h, w).

    Args:
        features: (B, D, h, w).
        centres: (K, D).
    """
    return functional.conv2d(features, centres[:, :, None, None], -0.5 * centres.square().sum(1))
