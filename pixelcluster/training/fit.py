"""Learning the clustered generator: Algorithm 1 on mini-batches with persistent chains.

    each visit:  z by Langevin, y by Gibbs (`sampling.posterior`), Adam on -log p(x | z, y) (eq. 3, 5-8)
    each epoch:  pi and the row table from expected counts; empty clusters reseeded, small ones pruned

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, Algorithm 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pixelcluster.config import RunConfig
from pixelcluster.errors import PixelClusterError
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import row_counts
from pixelcluster.sampling.chains import Chains
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import Posterior, infer
from pixelcluster.training.build import (
    TrainingImage,
    covariances,
    estimate_prior,
    label_grid,
    make_optimiser,
    one_hot,
    start_generator,
)
from pixelcluster.training.starts import cluster_means

Progress = Callable[[Mapping[str, object]], None]

_EMPTY = 0.01
"""Of a balanced share: a cluster with less is reseeded."""
_AUTO_SPARSITY = 0.01
"""Where the number of clusters is learned and the settings do not say."""


class Fit:
    """A run: the model, its chains and its history. `run` moves it on.

    Args:
        images: the training set.
        config: the settings.
        seed: of the start, the weights, the chains and the order of images.
        device: where to compute.

    Attributes:
        generator: the generator as it stands.
        prior: the prior on label maps as it stands.
        chains: (z, y) of each image, by its index.
        probabilities: by index, (K, h, w) float16 conditionals averaged over the last visit's sweeps.
        history: one entry an epoch: objective (nats a cell), shares of the clusters.

    Raises:
        PixelClusterError: no unmasked cell, or fewer cells than clusters.
    """

    def __init__(
        self, images: Sequence[TrainingImage], config: RunConfig, *, seed: int, device: torch.device
    ) -> None:
        if config.n_clusters == "auto" and config.prior.sparsity == 0:
            # An image's own proportions keep small clusters alive: they stay out where clusters are pruned.
            prior = config.prior.model_copy(update={"sparsity": _AUTO_SPARSITY, "concentration": None})
            config = config.model_copy(update={"prior": prior})
        self.images, self.config, self.seed, self.device = images, config, seed, device
        self.generator, self._sigma, label_maps = start_generator(images, config, seed, device)
        self.optimiser = make_optimiser(self.generator, config)
        self.chains = Chains()
        self.probabilities: dict[int, Tensor] = {}
        self.history: list[dict[str, object]] = []
        self.restart(label_maps)

    @property
    def objective(self) -> float:
        """Log joint of the last epoch, nats a cell; minus infinity before the first."""
        values = [entry["objective"] for entry in self.history if "objective" in entry]
        return float(values[-1]) if values else -math.inf  # type: ignore[arg-type]

    def restart(self, label_maps: Sequence[Tensor]) -> None:
        """Put all chains on given label maps (h, w), and the prior on their counts; z keeps its place."""
        n_rows = max(self.config.prior.rows, 1)
        counts = torch.zeros(n_rows, self.generator.n_clusters)
        for index, (image, label_map) in enumerate(zip(self.images, label_maps, strict=True)):
            maps = one_hot(label_map, self.generator.n_clusters)
            counts += row_counts(maps, n_rows, image.mask[None])
            if index in self.chains:
                z = self.chains.get([index])[0]
            else:
                shape = self.generator.trunk.latent_shape(*label_map.shape)
                # Where labels know something already they explain first; the paper's start draws z.
                random_start = self.config.training.start == "random"
                z = (
                    Streams(self.seed, [f"start-{index}"]).normal(shape)
                    if random_start
                    else torch.zeros(1, *shape)
                )
            self.chains.put([index], z, label_map[None])
        settings = self.config.prior.model_copy(update={"sparsity": 0.0})
        self.prior = estimate_prior(counts.to(self.device), settings)

    def run(self, epochs: int, *, deadline: float = math.inf, progress: Progress | None = None) -> None:
        """Visit every image `epochs` times, learning from each visit.

        Args:
            epochs: passes over the images.
            deadline: `time.monotonic()` after which no further epoch begins.
            progress: called after each batch.
        """
        n_rows = max(self.config.prior.rows, 1)
        started, visited = time.monotonic(), 0
        for epoch in range(epochs):
            if time.monotonic() > deadline:
                break
            if self.config.generator.sigma_schedule == "annealed":
                self.generator.noise.set_sigma(self._sigma * 2 ** max(0.0, 1 - 2 * epoch / epochs))
            counts = torch.zeros(n_rows, self.prior.n_clusters, device=self.device)
            objective = 0.0
            for indices in self.batches(len(self.history)):
                posterior, mask = self.visit(indices)
                counts += row_counts(posterior.probabilities, n_rows, mask)
                objective += float(posterior.log_joint[-1].sum())
                visited += len(indices)
                if progress is not None:
                    elapsed, total = time.monotonic() - started, epochs * len(self.images)
                    progress(
                        {
                            "step": visited,
                            "objective": objective / max(float(counts.sum()), 1.0),
                            "shares": (counts.sum(0) / counts.sum()).tolist(),
                            "steps_per_second": visited / elapsed,
                            "seconds_left": elapsed / visited * (total - visited),
                        }
                    )
            self.history.append(
                {
                    "epoch": len(self.history),
                    "objective": objective / max(float(counts.sum()), 1.0),
                    "shares": (counts.sum(0) / counts.sum()).tolist(),
                }
            )
            self.update_clusters(counts)
            if isinstance(self.generator, ClusteredGenerator) and self.config.generator.noise == "full":
                self._maximise(self.generator)

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield lists of indices of images of one size, in an order of (seed, epoch)."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        waiting: dict[tuple[int, ...], list[int]] = {}
        for index in torch.randperm(len(self.images), generator=random).tolist():
            batch = waiting.setdefault(tuple(self.images[index].mask.shape), [])
            batch.append(index)
            if len(batch) == self.config.training.batch_size:
                yield list(batch)
                batch.clear()
        yield from (batch for batch in waiting.values() if batch)

    def visit(self, indices: Sequence[int]) -> tuple[Posterior, Tensor]:
        """Move the chains of a batch on, store them, learn from them; return them and the mask (B, h, w)."""
        sampler = self.config.sampler
        x, mask, grid = self._gather(indices)
        z, label_map, visits = self.chains.get(indices)
        posterior = infer(
            Streams(self.seed, indices, visits, self.device),
            x,
            self.generator,
            self.prior,
            grid,
            z.to(self.device),
            label_map.to(self.device),
            rounds=1,
            step_size=sampler.step_size,
            langevin_steps=sampler.langevin_steps,
            gibbs_sweeps=sampler.gibbs_sweeps,
            temperature=sampler.temperature,
            tempering=sampler.tempering,
            mask=mask,
        )
        self.chains.put(indices, posterior.z, posterior.label_map)
        for index, own in zip(indices, posterior.probabilities.half().cpu(), strict=True):
            self.probabilities[index] = own.clone()
        self._learn(x, mask, posterior)
        return posterior, mask

    def update_clusters(self, counts: Tensor) -> None:
        """Re-estimate the prior from expected counts (n_rows, K); prune or reseed clusters that ran empty."""
        self.prior = estimate_prior(counts, self.config.prior)
        kept = self.prior.proportions > 0
        if not kept.all():
            self._keep(kept)
        total = counts.sum(0)[kept]
        for k in (total < _EMPTY * total.mean()).nonzero().flatten().tolist():
            self._reseed(k)

    @torch.no_grad()
    def _maximise(self, generator: ClusteredGenerator) -> None:
        """Set each cluster's mean and covariance to their maximum given all chains, in closed form.

        What eq. 8 asks of them is a least-squares fit, which Adam needs hundreds of steps for; the covariance
        is shrunk as at the start (`build.covariances`).
        """
        residuals, labels = [], []
        for index in range(len(self.images)):
            x, mask, _ = self._gather([index])
            z, label_map, _ = self.chains.get([index])
            label_map = label_map.to(self.device)
            features = generator.trunk(z.to(self.device), label_map.shape[1:])
            own = x - generator.mean(features, label_map)
            residuals.append(own[0][:, mask[0]].T)
            labels.append(label_map[mask])
        joined, of_cell = torch.cat(residuals), torch.cat(labels)
        filled = torch.bincount(of_cell, minlength=generator.n_clusters) > 0
        shift = cluster_means(joined, of_cell, generator.n_clusters)
        means = generator.heads[..., 0] + shift * filled[:, None]
        spread = float((joined - shift[of_cell]).square().mean().sqrt())
        generator.set_clusters(means, covariances(joined, of_cell, shift, spread))

    def _learn(self, x: Tensor, mask: Tensor, posterior: Posterior) -> None:
        """Take one Adam step on -log p(x | z, y), nats a cell and channel (eq. 8)."""
        trunk = self.generator.trunk(posterior.z, posterior.label_map.shape[1:])
        log_likelihood = self.generator.log_likelihood(x, trunk, posterior.label_map, mask)
        loss = -log_likelihood.sum() / (mask.sum() * x.shape[1]).clamp_min(1)
        if not loss.isfinite():
            raise PixelClusterError(
                "the loss is not finite; lower training.learning_rate or sampler.step_size"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def _gather(self, indices: Sequence[int]) -> tuple[Tensor, Tensor, PixelGrid]:
        """Return targets (B, D, h, w), mask (B, h, w) and the graph of a batch."""
        images = [self.images[index] for index in indices]
        x = torch.stack([image.targets for image in images]).to(self.device, torch.float32)
        mask = torch.stack([image.mask for image in images]).to(self.device)
        guide = torch.stack([image.guide for image in images]).to(self.device)
        return x, mask, label_grid(self.generator, self.prior, guide, mask)

    def _reseed(self, cluster: int) -> None:
        """Move an empty cluster onto a random cell."""
        random = torch.Generator().manual_seed(self.seed * 7919 + len(self.history) * 101 + cluster)
        image = self.images[int(torch.randint(len(self.images), (1,), generator=random))]
        cells = image.targets[:, image.mask].T.float()
        if len(cells) and isinstance(self.generator, ClusteredGenerator):
            chosen = cells[int(torch.randint(len(cells), (1,), generator=random))]
            with torch.no_grad():
                self.generator.heads[cluster, :, 0] = chosen.to(self.device)

    def _keep(self, kept: Tensor) -> None:
        """Drop the clusters where kept (K,) is False; their cells go to the kept cluster nearest in mean."""
        if not isinstance(self.generator, ClusteredGenerator):
            raise PixelClusterError(
                "the convolutional generator cannot drop clusters; give n_clusters and sparsity 0"
            )
        means = self.generator.heads[..., 0].detach()
        heirs = torch.cdist(means, means).masked_fill(~kept, torch.inf).argmin(1)
        new_id = (kept.cumsum(0) - 1)[heirs].cpu()
        self.generator = self.generator.select(kept)
        rows = None if self.prior.rows is None else self.prior.rows[:, kept]
        self.prior = replace(
            self.prior,
            proportions=self.prior.proportions[kept],
            rows=None if rows is None else rows / rows.sum(1, keepdim=True),
        )
        for index, own in self.probabilities.items():
            z, label_map, _ = self.chains.get([index])
            self.chains.put([index], z, new_id[label_map])
            merged = torch.zeros(len(means[kept]), *own.shape[1:]).index_add_(0, new_id, own.float())
            self.probabilities[index] = merged.half()
        self.optimiser = make_optimiser(self.generator, self.config)


def best_fit(
    images: Sequence[TrainingImage],
    config: RunConfig,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
) -> Fit:
    """Return the fit with the highest objective of `training.restarts`, each from its own start.

    Args:
        images: the training set.
        config: the settings.
        seed: of all starts.
        device: where to compute.
        deadline: `time.monotonic()` after which no further start is tried.
        progress: see `Fit.run`.

    Raises:
        PixelClusterError: see `Fit`.
    """
    best: Fit | None = None
    for index in range(config.training.restarts):
        fit = Fit(images, config, seed=seed * 1000 + index, device=device)
        fit.run(config.training.epochs, deadline=deadline, progress=progress)
        if best is None or fit.objective > best.objective:
            best = fit
        if time.monotonic() > deadline:
            break
    assert best is not None  # restarts is at least 1
    return best
