"""From settings and targets to a model at its start: generator, prior, optimiser, Potts graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.config import PriorSettings, RunConfig
from pixelcluster.errors import PixelClusterError
from pixelcluster.model.convolutional import ConvolutionalGenerator
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import LabelPrior, estimate_proportions, estimate_rows, sparse_proportions
from pixelcluster.training.moments import ClusterMoments
from pixelcluster.training.starts import count_distinct, start_means

AnyGenerator = ClusteredGenerator | ConvolutionalGenerator

_CHUNK = 65_536
_MOST_CELLS = 1_000_000
"""Cells that the start is found on, drawn in equal shares from the images."""


@dataclass(frozen=True)
class TrainingImage:
    """One image of the training set, ready for the chains.

    Attributes:
        targets: (D, h, w) normalised target stack on the label grid.
        mask: (h, w) bool; False: a benchmark ignores the cell, and so do we.
        guide: (3, h, w) colours in [0, 1] on the label grid, for contrast-sensitive Potts weights.
    """

    targets: Tensor
    mask: Tensor
    guide: Tensor


def start_generator(
    images: Sequence[TrainingImage], config: RunConfig, seed: int
) -> tuple[AnyGenerator, float, list[Tensor]]:
    """Return the generator at its start, its sigma, and the first label map (h, w) of each image.

    Args:
        images: the training set.
        config: the settings; with "auto" clusters it starts from training.max_clusters.
        seed: of the start and the weights.

    Raises:
        PixelClusterError: no unmasked cell, or fewer distinct cells than clusters.
    """
    for index, image in enumerate(images):
        if not image.targets[:, image.mask].isfinite().all():
            raise PixelClusterError(f"the targets of image {index + 1} are not finite; leave that image out")
    training = config.training
    drawn = [_drawn(image, index, len(images), seed) for index, image in enumerate(images)]
    cells = torch.cat([_cells(image)[own] for image, own in zip(images, drawn, strict=True)])
    if not len(cells):
        raise PixelClusterError("every pixel is masked; give at least one image with unmasked pixels")
    wanted = config.n_clusters
    n_clusters = min(training.max_clusters, count_distinct(cells)) if wanted == "auto" else wanted
    scale = row_scale(cells, training.row_share)
    rows = torch.cat([_rows(image)[own] for image, own in zip(images, drawn, strict=True)])
    centres = start_means(training.start, torch.cat([cells, scale * rows], 1), n_clusters, seed=seed)
    moments = ClusterMoments(n_clusters, cells.shape[1], cells.device)
    maps = []
    for index, image in enumerate(images):
        points = _cells(image)
        labels = nearest(torch.cat([points, scale * _rows(image)], 1), centres)
        used = image.mask.flatten()
        moments.add(points[used], labels[used])
        if training.start == "random":
            random = torch.Generator().manual_seed(seed * 1_000_003 + index)
            labels = torch.randint(n_clusters, (len(points),), generator=random)
        maps.append(labels.view(image.mask.shape))
    sigma = config.generator.sigma or moments.spread()
    generator = make_generator(config, n_clusters, cells.shape[1], sigma, seed)
    if isinstance(generator, ClusteredGenerator):
        full = config.generator.noise == "full"
        generator.set_clusters(moments.means(), moments.covariances() if full else None)
    return generator, sigma, maps


def _drawn(image: TrainingImage, index: int, n_images: int, seed: int) -> Tensor:
    """Return which cells of an image the start is found on: its unmasked ones, or a random share of them."""
    used = image.mask.flatten().nonzero()[:, 0]
    share = -(-_MOST_CELLS // n_images)
    if len(used) <= share:
        return used
    random = torch.Generator().manual_seed(seed * 1_000_003 + index)
    return used[torch.randperm(len(used), generator=random)[:share]]


def row_scale(cells: Tensor, share: float) -> float:
    """Return the factor of a row coordinate in [-1, 1] with a share of variance beside cells (P, D)."""
    # The variance of a uniform coordinate on [-1, 1] is 1/3.
    return float((3 * share / (1 - share) * cells.var(0, correction=0).sum()).sqrt())


def nearest(cells: Tensor, means: Tensor) -> Tensor:
    """Return the nearest mean (K, D) of each cell (P, D), (P,) int64."""
    return torch.cat([torch.cdist(part, means).argmin(1) for part in torch.split(cells, _CHUNK)])


def _cells(image: TrainingImage) -> Tensor:
    """Return the targets of all cells of an image, (h w, D)."""
    return image.targets.flatten(1).T.float()


def _rows(image: TrainingImage) -> Tensor:
    """Return the row coordinate of all cells of an image, (h w, 1) in [-1, 1]."""
    height, width = image.mask.shape
    return torch.linspace(-1, 1, height)[:, None].expand(height, width).reshape(-1, 1)


def make_generator(
    config: RunConfig, n_clusters: int, n_channels: int, sigma: float = 1.0, seed: int = 0
) -> AnyGenerator:
    """Return a generator of the configured form, (K, D) = (n_clusters, n_channels)."""
    settings = config.generator
    form = ClusteredGenerator if settings.form == "heads" else ConvolutionalGenerator
    return form(
        n_clusters,
        n_channels,
        latent_channels=settings.latent_channels,
        latent_stride=settings.latent_stride,
        width=settings.width,
        noise=settings.noise,
        sigma=sigma,
        learn_noise=settings.sigma_schedule == "learned",
        seed=seed,
    )


def make_optimiser(generator: AnyGenerator, config: RunConfig) -> torch.optim.Optimizer:
    """Return Adam with the paper's beta1, 0.5."""
    return torch.optim.Adam(generator.parameters(), config.training.learning_rate, betas=(0.5, 0.999))


def estimate_prior(counts: Tensor, settings: PriorSettings) -> LabelPrior:
    """Return the prior that expected counts (n_rows, K) give under the settings."""
    total = counts.sum(0)
    if settings.sparsity:
        learned = sparse_proportions(total, settings.sparsity)
    else:  # a tenth of a balanced share keeps every cluster alive
        learned = estimate_proportions(total, 0.1 * float(total.mean()))
    proportions = learned if settings.proportions else torch.full_like(learned, 1 / len(learned))
    rows = None
    if settings.rows:
        rows = estimate_rows(counts, proportions, pseudo_count=0.1 * float(counts.sum(1).mean()))
    return prior_of(settings, proportions, rows)


def prior_of(settings: PriorSettings, proportions: Tensor, rows: Tensor | None) -> LabelPrior:
    """Return the prior of proportions (K,) and a row table (n_rows, K) under the settings."""
    return LabelPrior(
        proportions,
        rows,
        concentration=settings.concentration,
        potts_weight=settings.potts_weight,
        contrast=settings.contrast,
    )


def label_grid(
    generator: AnyGenerator, prior: LabelPrior, guide: Tensor, mask: Tensor | None = None
) -> PixelGrid:
    """Return the Potts graph of a batch.

    Args:
        generator: its receptive field sets how far apart cells of a colour are.
        prior: its contrast decides whether the guide matters.
        guide: (B, 3, h, w) colours in [0, 1].
        mask: (B, h, w) bool.
    """
    return PixelGrid(
        guide.shape[2],
        guide.shape[3],
        guide=None if prior.contrast is None else guide,
        contrast=prior.contrast,
        mask=mask,
        period=max(2, generator.receptive_field),
        device=guide.device,
    )


def one_hot(label_map: Tensor, n_clusters: int) -> Tensor:
    """Return (1, K, h, w) float of labels (h, w)."""
    return functional.one_hot(label_map.long(), n_clusters).permute(2, 0, 1)[None].float()
