"""Learning the clustered generator: Algorithm 1 on mini-batches with persistent chains.

    each visit:  z by Langevin, y by Gibbs (`sampling.posterior`), Adam on -log p(x | z, y) (eq. 3, 5-8)
    each epoch:  pi and the row table from expected counts; empty clusters reseeded, small ones pruned

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor

from pixelcluster.config import RunConfig
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.prior import LabelPrior, row_counts
from pixelcluster.progress import Progress
from pixelcluster.resuming.state_file import State
from pixelcluster.sampling.chains import Chains
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import Posterior, infer
from pixelcluster.training import clusters, distributed
from pixelcluster.training.batches import mini_batches
from pixelcluster.training.build import (
    AnyGenerator,
    TrainingImage,
    estimate_prior,
    label_grid,
    make_optimiser,
    one_hot,
    start_generator,
)
from pixelcluster.training.fit_state import Place, load_fit
from pixelcluster.training.refusals import Refusals

_EMPTY = 0.01
"""A cluster with less than this part of an equal share of the cells is reseeded."""
_AUTO_SPARSITY = 0.01
"""`prior.sparsity` where the number of clusters is learned and the settings leave it 0."""


class Fit:
    """A fit under way: the model, its chains and its history. `run` moves it on.

    Args:
        images: the training set.
        config: the settings.
        seed: of the start, the weights, the chains and the order of images.
        device: where to compute.
        state: of `fit_state.fit_state`, to go on from instead of the start.

    Attributes:
        generator: the generator as it stands.
        prior: the prior on label maps as it stands.
        chains: (z, y) of each image, by its index.
        probabilities: by index, (K, h, w) float16 conditionals averaged over the last visit's sweeps.
        history: one entry per epoch: objective (nats per cell), shares of the clusters, and of all epochs so
            far Langevin proposals rejected and visits to images refused.
        place: how far the present `run` got.
        refusals: what was not finite and therefore thrown away.

    Raises:
        PixelClusterError: no unmasked cell, fewer cells than clusters, or settings that exclude each other.
    """

    generator: AnyGenerator
    sigma: float
    prior: LabelPrior

    def __init__(
        self,
        images: Sequence[TrainingImage],
        config: RunConfig,
        *,
        seed: int,
        device: torch.device,
        state: State | None = None,
    ) -> None:
        config.check_fit()
        if config.n_clusters == "auto" and config.prior.sparsity == 0:
            # An image's own proportions keep small clusters alive: they stay out where clusters are pruned.
            prior = config.prior.model_copy(update={"sparsity": _AUTO_SPARSITY, "concentration": None})
            config = config.model_copy(update={"prior": prior})
        self.images, self.config, self.seed, self.device = images, config, seed, device
        self.chains = Chains()
        self.probabilities: dict[int, Tensor] = {}
        self.history: list[dict[str, object]] = []
        self.place, self.refusals = Place(), Refusals()
        if state is not None:
            load_fit(self, state)
            return
        self.generator, self.sigma, label_maps = distributed.of_lead(
            lambda: start_generator(images, config, seed)
        )
        self.generator.to(device)
        self.optimiser = make_optimiser(self.generator, config)
        self._begin(label_maps)

    @property
    def objective(self) -> float:
        """Log joint of the last epoch, nats per cell; minus infinity before the first."""
        values = [entry["objective"] for entry in self.history if "objective" in entry]
        return float(values[-1]) if values else -math.inf  # type: ignore[arg-type]

    @property
    def _n_rows(self) -> int:
        """Bands the counts are kept in."""
        return max(self.config.prior.rows, 1)

    def _begin(self, label_maps: Sequence[Tensor]) -> None:
        """Put the chains on label maps (h, w) and the prior on their counts."""
        counts = torch.zeros(self._n_rows, self.generator.n_clusters)
        for index, (image, label_map) in enumerate(zip(self.images, label_maps, strict=True)):
            maps = one_hot(label_map, self.generator.n_clusters)
            counts += row_counts(maps, self._n_rows, image.mask[None])
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
        """Visit every image `epochs` times, learning from each visit; go on at `place` if that is in between.

        Args:
            epochs: passes over the images.
            deadline: `clock.now()` after which no further epoch begins.
            progress: called after each batch, when all state is that of the batch's end, with epoch (from 1),
                epochs, objective, shares and rejected.

        Raises:
            NotFiniteError: too much was not finite, see `refusals`.
        """
        at, batch_size = self.place, self.config.training.batch_size
        shapes = [tuple(image.mask.shape) for image in self.images]
        while at.epoch < epochs and (at.batch or not distributed.late(deadline)):
            if at.counts is None:
                at.counts = torch.zeros(self._n_rows, self.prior.n_clusters, device=self.device)
                if self.config.generator.sigma_schedule == "annealed":
                    done = len(self.history) / self.config.training.epochs  # a later run stays cold
                    self.generator.noise.set_sigma(self.sigma * 2 ** max(0.0, 1 - 2 * done))
            batches = mini_batches(shapes, batch_size, self.seed, len(self.history))
            for indices in islice(batches, at.batch, None):
                posterior, mask = self.visit(indices)
                at.counts += row_counts(posterior.probabilities, self._n_rows, mask)
                at.log_joint += float(posterior.log_joint[-1].sum())
                at.batch += 1
                self.refusals.check(self.images, self.generator)
                if progress is not None:
                    summary = _summary(at.counts, at.log_joint)
                    where = {"epoch": at.epoch + 1, "epochs": epochs, **summary}
                    progress({**where, "rejected": self.refusals.proposals})
            counted = {"rejected": self.refusals.proposals, "refused": self.refusals.images.total()}
            self.history.append({"epoch": len(self.history), **_summary(at.counts, at.log_joint), **counted})
            if at.counts.any():
                if isinstance(self.generator, ClusteredGenerator) and self.config.generator.noise == "full":
                    clusters.maximise(self, self.generator)
                self.update_clusters(at.counts)  # after it, which would take a reseeded cluster back
            at = self.place = Place(at.epoch + 1)
        self.place = Place()

    def visit(self, indices: Sequence[int]) -> tuple[Posterior, Tensor]:
        """Move the chains of a batch on, store them, learn from them; return them and the mask (B, h, w).

        An image whose chain is not finite goes back to the labels it had and z = 0, is not learned from, and
        is left out of what is returned.
        """
        x, mask = self.gather(indices)
        z, label_map, _ = self.chains.get(indices)
        share = distributed.own(len(indices))
        part = self._sample(indices[share], x[share], mask[share])
        posterior = distributed.whole_posterior(part, self.device)
        self.refusals.visits += len(indices)
        self.refusals.proposals += int(posterior.rejected.sum())
        finite = posterior.log_joint[-1].isfinite() & posterior.probabilities.flatten(1).isfinite().all(1)
        if not finite.all():
            refused = [index for index, kept in zip(indices, finite.tolist(), strict=True) if not kept]
            self.refusals.add(refused)
            self.chains.put(refused, torch.zeros_like(z[~finite.cpu()]), label_map[~finite.cpu()])
            indices = [index for index in indices if index not in refused]
            x, mask, posterior = x[finite], mask[finite], posterior.select(finite)
        self.chains.put(indices, posterior.z, posterior.label_map, posterior.direction)
        for index, own in zip(indices, posterior.probabilities.half().cpu(), strict=True):
            self.probabilities[index] = own.clone()
        if indices and not self._learn(x, mask, posterior):
            self.refusals.add(indices)
        return posterior, mask

    def _sample(self, indices: Sequence[int], x: Tensor, mask: Tensor) -> Posterior | None:
        """Move the chains of images on; None without images."""
        if not indices:
            return None
        sampler = self.config.sampler
        guide = torch.stack([self.images[index].guide for index in indices]).to(self.device)
        z, label_map, visits = self.chains.get(indices)
        return infer(
            Streams(self.seed, indices, visits, self.device),
            x,
            self.generator,
            self.prior,
            label_grid(self.generator, self.prior, guide, mask),
            z.to(self.device),
            label_map.to(self.device),
            rounds=1,
            step_size=sampler.step_size,
            langevin_steps=sampler.langevin_steps,
            gibbs_sweeps=sampler.gibbs_sweeps,
            temperature=sampler.temperature,
            tempering=sampler.tempering,
            mask=mask,
            direction=self.chains.directions(indices).to(self.device),
        )

    def update_clusters(self, counts: Tensor) -> None:
        """Re-estimate the prior from expected counts (n_rows, K); prune or reseed clusters that ran empty."""
        self.prior = estimate_prior(counts, self.config.prior)
        kept = self.prior.proportions > 0
        if not kept.all():
            clusters.keep(self, kept)
        total = counts.sum(0)[kept]
        for k in (total < _EMPTY * total.mean()).nonzero().flatten().tolist():
            clusters.reseed(self, k)

    def _learn(self, x: Tensor, mask: Tensor, posterior: Posterior) -> bool:
        """Take one Adam step on -log p(x | z, y), nats per cell and channel (eq. 8); False: refused."""
        share, loss = distributed.own(len(x)), x.new_zeros(())
        label_map = posterior.label_map[share]
        self.optimiser.zero_grad()
        if len(label_map):
            trunk = self.generator.trunk(posterior.z[share], label_map.shape[1:])
            log_likelihood = self.generator.log_likelihood(x[share], trunk, label_map, mask[share])
            loss = -log_likelihood.sum() / (mask.sum() * x.shape[1]).clamp_min(1)
            loss.backward()  # type: ignore[no-untyped-call]
        loss = distributed.total(loss)
        distributed.sum_gradients(self.generator.parameters())
        gradients = [parameter.grad for parameter in self.generator.parameters()]
        if not loss.isfinite() or not all(g is None or g.isfinite().all() for g in gradients):
            return False
        self.optimiser.step()
        return True

    def gather(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return targets (B, D, h, w) and mask (B, h, w) of a batch."""
        images = [self.images[index] for index in indices]
        x = torch.stack([image.targets for image in images]).to(self.device, torch.float32)
        mask = torch.stack([image.mask for image in images]).to(self.device)
        return x, mask


def _summary(counts: Tensor, log_joint: float) -> dict[str, object]:
    """Return the objective, nats per cell, and the shares of the clusters, from counts (n_rows, K)."""
    objective = log_joint / max(float(counts.sum()), 1.0)
    return {"objective": objective, "shares": (counts.sum(0) / counts.sum().clamp_min(1e-6)).tolist()}
