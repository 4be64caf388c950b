"""What happens to the clusters of a fit between epochs: closed-form step, new place, removal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.training import distributed
from pixelcluster.training.build import make_optimiser
from pixelcluster.training.moments import ClusterMoments

if TYPE_CHECKING:
    from pixelcluster.training.fit import Fit


@torch.no_grad()
def maximise(fit: Fit, generator: ClusteredGenerator) -> None:
    """Set each cluster's mean and covariance to their maximum given all chains, in closed form.

    What eq. 8 asks of them is a least-squares fit, which Adam needs hundreds of steps for; the covariance
    is shrunk as at the start (`ClusterMoments`). Each process sums over its share of the images.
    """
    moments = ClusterMoments(generator.n_clusters, generator.n_channels, fit.device)
    for index in range(len(fit.images))[distributed.own(len(fit.images))]:
        x, mask = fit.gather([index])
        z, label_map, _ = fit.chains.get([index])
        label_map = label_map.to(fit.device)
        features = generator.trunk(z.to(fit.device), label_map.shape[1:])
        residuals = (x - generator.mean(features, label_map))[0]
        kept = mask[0] & residuals.isfinite().all(0)
        moments.add(residuals[:, kept].T, label_map[0][kept])
    moments.reduce(distributed.total)
    generator.set_clusters(generator.heads[..., 0] + moments.means(), moments.covariances())


def reseed(fit: Fit, cluster: int) -> None:
    """Move an empty cluster onto a random cell."""
    random = torch.Generator().manual_seed(fit.seed * 7919 + len(fit.history) * 101 + cluster)
    image = fit.images[int(torch.randint(len(fit.images), (1,), generator=random))]
    cells = image.targets[:, image.mask].T.float()
    if len(cells) and isinstance(fit.generator, ClusteredGenerator):
        chosen = cells[int(torch.randint(len(cells), (1,), generator=random))]
        with torch.no_grad():
            fit.generator.heads[cluster, :, 0] = chosen.to(fit.device)


def keep(fit: Fit, kept: Tensor) -> None:
    """Drop the clusters where kept (K,) is False; their cells go to the kept cluster nearest in mean."""
    assert isinstance(fit.generator, ClusteredGenerator)  # `RunConfig.check_fit`
    means = fit.generator.heads[..., 0].detach()
    heirs = torch.cdist(means, means).masked_fill(~kept, torch.inf).argmin(1)
    new_id = (kept.cumsum(0) - 1)[heirs].cpu()
    fit.generator = fit.generator.select(kept)
    rows = None if fit.prior.rows is None else fit.prior.rows[:, kept]
    fit.prior = replace(
        fit.prior,
        proportions=fit.prior.proportions[kept],
        rows=None if rows is None else rows / rows.sum(1, keepdim=True),
    )
    for index in range(len(fit.images)):
        z, label_map, _ = fit.chains.get([index])
        fit.chains.put([index], z, new_id[label_map])
    for index, own in fit.probabilities.items():
        merged = torch.zeros(len(means[kept]), *own.shape[1:]).index_add_(0, new_id, own.float())
        fit.probabilities[index] = merged.half()
    fit.optimiser = make_optimiser(fit.generator, fit.config)
