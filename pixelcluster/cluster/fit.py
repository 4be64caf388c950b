"""Learning to cluster images: Algorithm 1 with a label map of 1 x 1 and a graph of images for a grid.

    each visit:  z by Langevin from where the recognition network starts it, y by Gibbs given its neighbours,
                 Adam on |x - G(z, y)|^2 / (2 sigma^2) (eq. 3, 5-8), and on the recognition network's bound

A mini-batch is part of one colour of the graph, so that its labels are independent given all others and the
Gibbs step is exact. Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model,
Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.cluster.batches import Batches
from pixelcluster.cluster.generators import make_generator
from pixelcluster.cluster.joint import log_evidence, log_joint, log_likelihoods, tempered_sigma
from pixelcluster.cluster.recognition import Recognition
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.errors import PixelClusterError
from pixelcluster.model.graph import SparseGraph
from pixelcluster.model.prior import LabelPrior
from pixelcluster.model.transform import TransformGenerator
from pixelcluster.progress import Progress
from pixelcluster.sampling import gibbs, langevin
from pixelcluster.sampling.noise import Streams

_MEMORY = 0.98
"""What the running averages keep at each step."""
_EMPTY = 0.3
"""While a random start cools, a cluster with less than this part of an equal share moves to another image."""
_PASSES, _FEWEST = 60, 300
"""A fit of a small set ends after this many passes, but not before this many mini-batches."""


def n_iterations(n_images: int, settings: ImageSettings) -> int:
    """Return the mini-batches that a fit visits."""
    passes = math.ceil(_PASSES * n_images / settings.batch_size)
    return min(settings.iterations, max(passes, _FEWEST))


class ImageFit:
    """A run: generator, recognition network and the labels of all images.

    Args:
        images: (N, C, S, S) uint8.
        settings: the settings; side S.
        n_clusters: K at the start.
        seed: of weights, order and chains.
        device: where to compute.
        graph: over the N images; without it labels do not see each other.
        labels: (N,) int64 to start from; None: the random start.
        known: (N,) int64 labels that stay, -1 where unknown.

    Attributes:
        generator: G.
        recognition: starts the chains.
        optimisers: of generator and recognition network.
        iteration: mini-batches visited, of `iterations`.
        batches: those to come.
        random: of what is not random by image and iteration.
        labels: (N,) int64, the last state of y.
        shares: (K,), running, of the clusters.
        objective: mean log p(x) at the end, nats per image, up to a constant.
        rejected: Langevin proposals that were not finite, so far.
    """

    def __init__(
        self,
        images: Tensor,
        settings: ImageSettings,
        n_clusters: int,
        *,
        seed: int,
        device: torch.device,
        graph: SparseGraph | None = None,
        labels: Tensor | None = None,
        known: Tensor | None = None,
    ) -> None:
        self.images, self.settings, self.seed, self.device = images, settings, seed, device
        self.random = torch.Generator().manual_seed(seed)
        self.graph = graph or SparseGraph(len(images), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0))
        self.potts_weight = settings.potts_weight if graph is not None else 0.0
        self.known = torch.full((len(images),), -1) if known is None else known
        self.started = labels is not None
        channels, side = images.shape[1], settings.generator_side
        self.generator = make_generator(settings, n_clusters, channels, seed).to(device)
        self.labels = (
            torch.randint(n_clusters, (len(images),), generator=self.random) if labels is None else labels
        )
        self.labels = torch.where(self.known >= 0, self.known, self.labels)
        for k in range(n_clusters):
            own = self.images[self.labels == k][:2000]
            self._set_template(k, own if self.started else own[:0])
        n_chains = n_clusters if settings.chains == "per_cluster" else 1
        self.recognition = Recognition(
            n_chains, self.generator.n_latent, channels, images.shape[-1], seed=seed
        ).to(device)
        self.optimisers = (
            torch.optim.Adam(self.generator.parameters(), betas=(0.5, 0.999)),
            torch.optim.Adam(self.recognition.parameters()),
        )
        self.sigma = tempered_sigma(settings.sigma, side)
        self.shares = torch.full((n_clusters,), 1 / n_clusters)
        self.objective = -math.inf
        self.rejected = 0
        self.iterations = n_iterations(len(images), settings)
        self.iteration, self.share = 0, 0.0
        self.batches = Batches(self.graph, settings.batch_size, self.random)

    def run(
        self,
        *,
        deadline: float = math.inf,
        progress: Progress | None = None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Learn until the iterations are done, or `clock.now()` is at the deadline.

        Args:
            deadline: see above.
            progress: told objective, shares and rejected now and then.
            after: called after every iteration, before it.
        """
        rates = self.settings.template_rate, self.settings.recognition_rate
        started, first = clock.now(), self.share
        while self.iteration < self.iterations and clock.now() <= deadline:
            # Every phase has its part of the time where that ends before the iterations do.
            used = (clock.now() - started) / max(deadline - started, 1e-9)
            share = self.share = max(self.iteration / self.iterations, first + used * (1 - first))
            warm = min(1.0, (self.iteration + 1) / 50)
            falling = 1.0 if share < 0.6 else 0.5 + 0.5 * math.cos(math.pi * (share - 0.6) / 0.4)
            for optimiser, rate in zip(self.optimisers, rates, strict=True):
                optimiser.param_groups[0]["lr"] = rate * warm * max(falling, 0.02)
            self.generator.unlock(
                warp=share >= self.settings.warp_from, appearance=share >= self.settings.appearance_from
            )
            self._visit(self.batches.next(), share)
            self.iteration += 1
            after()
            if progress is not None and self.iteration % 20 == 0:
                facts = {"objective": self.objective, "shares": self.shares.tolist()}
                progress({**facts, "rejected": self.rejected})
        self.generator.unlock(warp=True, appearance=True)

    def _visit(self, cells: Tensor, share: float) -> None:
        """Move the chains of a mini-batch on and learn from them."""
        generator_step, recognition_step = self.optimisers
        streams = Streams(self.seed, cells.tolist(), self.iteration, self.device)
        seen = self.images[cells].to(self.device).float() / 255
        x = functional.adaptive_avg_pool2d(seen, self.settings.generator_side)
        labels = self.labels[cells].to(self.device)
        shared = self.settings.chains == "shared"

        self.generator.requires_grad_(False)
        stated = self.recognition(seen)
        z = stated.mean + stated.log_scale.exp() * streams.normal(stated.mean.shape[1:])
        if shared:
            fitted = log_joint(self.generator, x, labels, self.sigma)(z) + z.square().flatten(1).sum(1) / 2
            bound = fitted[:, None] - stated.divergence()
        else:
            bound = log_likelihoods(self.generator, x, z, self.sigma) - stated.divergence()
        weights = 1 + functional.one_hot(labels, bound.shape[1]).float() if not shared else 1.0
        loss = -(weights * bound).sum() / len(cells)
        if not loss.isfinite():
            raise PixelClusterError("the loss is not finite; lower recognition_rate or template_rate")
        recognition_step.zero_grad()
        loss.backward()
        recognition_step.step()

        z, stated = z.detach(), stated.detach()
        if self.settings.langevin_steps:
            target = log_joint(self.generator, x, labels if shared else None, self.sigma)
            state, rejected = langevin.run(
                streams,
                langevin.init(z, target),
                target,
                self.settings.langevin_steps,
                step_size=self.settings.step_size,
                preconditioner=stated.variance,
            )
            z = state.position
            self.rejected += int(rejected.sum())
        with torch.no_grad():
            evidence = log_evidence(self.generator, x, z, stated, self.sigma)
        held = self.started and share < self.settings.hold_until
        if not held:
            labels = self._gibbs(cells, evidence, share)
        self.generator.requires_grad_(True)
        own = z[:, 0] if shared else z[torch.arange(len(cells)), labels]
        residual = x - self.generator.mean(own, labels)
        loss = residual.square().sum() / (2 * self.sigma**2) / len(cells)
        generator_step.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if share < self.settings.latents_from and isinstance(self.generator, TransformGenerator):
            self.generator.latent_mean.grad = self.generator.latent_scale.grad = None
        generator_step.step()
        self._keep_count(labels, evidence, share)

    def _gibbs(self, cells: Tensor, evidence: Tensor, share: float) -> Tensor:
        """Draw the labels of a mini-batch given all others, store and return them."""
        cooled = self.settings.cooled_at
        tempering = 1.0
        proportions = self.shares
        if not self.started and share < cooled:
            # A random start: evidence counts little at first, and crowded clusters are held back.
            left = 1 - share / cooled
            tempering = self.settings.temperature**left
            proportions = (1 / self.shares.clamp_min(1e-3)) ** left
            proportions = proportions / proportions.sum()
        evidence = evidence.cpu()
        prior = LabelPrior(proportions, potts_weight=self.potts_weight)
        label_map = gibbs.sweep(
            Streams(self.seed, ["labels"], self.iteration),
            self.labels[None],
            lambda label_map, chosen: evidence.T[None],
            prior,
            self.graph.block(cells),
            tempering=tempering,
            clamp=self.known[None],
        )
        self.labels = label_map[0]
        return self.labels[cells].to(self.device)

    def _keep_count(self, labels: Tensor, evidence: Tensor, share: float) -> None:
        """Update shares and objective; put empty clusters of a random start onto images."""
        counts = torch.bincount(labels.cpu(), minlength=len(self.shares)) / len(labels)
        self.shares = _MEMORY * self.shares + (1 - _MEMORY) * counts
        value = float(torch.logsumexp(evidence.cpu() + self.shares.log(), dim=1).mean())
        first = self.objective == -math.inf
        self.objective = value if first else _MEMORY * self.objective + (1 - _MEMORY) * value
        if self.started or share > self.settings.cooled_at or self.iteration % 100 != 99:
            return
        for k in (self.shares < _EMPTY / len(self.shares)).nonzero().flatten().tolist():
            if isinstance(self.generator, TransformGenerator):
                self._set_template(k, self.images[:0])
                self.shares[k] = 1 / len(self.shares)
        self.shares = self.shares / self.shares.sum()

    def _set_template(self, k: int, images: Tensor) -> None:
        """Make a cluster's template the mean of images (n, C, S, S); where n is 0, a random image."""
        if not isinstance(self.generator, TransformGenerator):
            return
        if not len(images):
            index = int(torch.randint(len(self.images), (1,), generator=self.random))
            images = self.images[index : index + 1]
        mean = images.to(self.device).float().mean(0) / 255
        self.generator.set_template(k, functional.adaptive_avg_pool2d(mean, self.settings.generator_side))
