"""Langevin within Gibbs: the inner loop of the clustered generator's Algorithm 1.

Each round moves z by Langevin steps at fixed labels, then the labels by Gibbs sweeps at fixed z.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.generator import Generator, log_joint, log_latent
from pixelcluster.model.graph import Graph, PixelGrid
from pixelcluster.model.prior import LabelPrior, log_prior
from pixelcluster.sampling import gibbs, langevin
from pixelcluster.sampling.noise import Streams


class Posterior(NamedTuple):
    """The last state of the chains and what was averaged on the way.

    Attributes:
        z: (B, d, hz, wz).
        label_map: (B, *graph.shape) int64.
        probabilities: (B, K, *graph.shape), conditionals averaged over the sweeps after burn-in.
        log_joint: (rounds, B), log p(z) + log p(x | z, y) / tempering + log p(y), nats, but for the Potts
            normaliser.
        rejected: (B,) int64, Langevin proposals that were refused.
        direction: (B, d, hz, wz), along which log p curves most; see `langevin.inverse_curvature`.
    """

    z: Tensor
    label_map: Tensor
    probabilities: Tensor
    log_joint: Tensor
    rejected: Tensor
    direction: Tensor

    def select(self, kept: Tensor) -> Posterior:
        """Return the posterior of the images where kept (B,) bool is True."""
        rows = {name: value[kept] for name, value in self._asdict().items() if name != "log_joint"}
        return Posterior(**rows, log_joint=self.log_joint[:, kept])


@torch.no_grad()
def infer(
    streams: Streams,
    x: Tensor,
    generator: Generator,
    prior: LabelPrior,
    graph: Graph,
    z: Tensor,
    label_map: Tensor,
    *,
    rounds: int,
    step_size: float,
    langevin_steps: int = 10,
    gibbs_sweeps: int = 1,
    burn_in: int = 0,
    temperature: float = 1.0,
    tempering: float = 1.0,
    mask: Tensor | None = None,
    clamp: Tensor | None = None,
    drift: tuple[Tensor, float] | None = None,
    direction: Tensor | None = None,
    after_round: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Posterior:
    """Run the chains of a batch from (z, label_map).

    Args:
        streams: random numbers of the batch's images.
        x: (B, D, h, w) normalised targets.
        generator: either form.
        prior: p(y).
        graph: neighbours; its colours must be at least `generator.receptive_field` apart.
        z: (B, d, hz, wz) start of the latent field.
        label_map: (B, h, w) int64, start of the labels.
        rounds: alternations of z and y.
        step_size: of Langevin, in units of the inverse of the largest curvature, estimated in every round.
        langevin_steps: on z per round (m of Algorithm 1).
        gibbs_sweeps: over y a round.
        burn_in: rounds before probabilities are averaged; below `rounds`.
        temperature: of both moves; 0 climbs to a local maximum.
        tempering: divisor of the evidence, in both moves.
        mask: (B, h, w) bool; False: the cell contributes no evidence and no count.
        clamp: (B, h, w) int64, known labels, -1 elsewhere; see `gibbs.sweep`.
        drift: mean (B, d, hz, wz) and standard deviation of p(z); None: 0 and 1.
        direction: (B, d, hz, wz), of a posterior of the same images, to start that estimate from; 0 or None:
            not known.
        after_round: called after each round with rounds done, labels (B, h, w) and log joint (B,).

    Raises:
        PixelClusterError: no round after burn-in, or cells of one colour interact through the generator.
    """
    if burn_in >= rounds:
        raise PixelClusterError(f"burn_in {burn_in} leaves none of {rounds} rounds; give more rounds")
    period = graph.period if isinstance(graph, PixelGrid) else 1
    if period < generator.receptive_field:
        raise PixelClusterError(
            f"the graph's colours are {period} apart, but a label of this generator moves "
            f"{generator.receptive_field} cells; use PixelGrid(period={generator.receptive_field})"
        )
    if clamp is not None:
        label_map = clamp.where(clamp >= 0, label_map)
    x = x.contiguous(memory_format=torch.channels_last)
    size = (x.shape[2], x.shape[3])
    total = x.new_zeros(len(x), generator.n_clusters, *size)
    rejected = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    trace = []

    def target() -> langevin.LogProb:
        return log_joint(generator, x, label_map, tempering=tempering, mask=mask, drift=drift)

    direction = torch.zeros_like(z) if direction is None else direction
    evidence: gibbs.Evidence | None = None
    for index in range(rounds):
        if z.numel() and langevin_steps:
            fixed = target()
            state = langevin.init(z, fixed)
            preconditioner, direction = langevin.inverse_curvature(streams, state, fixed, direction)
            for _ in range(langevin_steps):
                before = state
                state, stayed = langevin.step(
                    streams,
                    before,
                    fixed,
                    step_size=step_size,
                    temperature=temperature,
                    preconditioner=preconditioner,
                )
                preconditioner = langevin.shorten(preconditioner, before, state)
                rejected += stayed
            z = state.position
            evidence = None
        if evidence is None:
            evidence = generator.evidence(x, generator.trunk(z, size), mask)
        for _ in range(gibbs_sweeps):
            label_map = gibbs.sweep(
                streams,
                label_map,
                evidence,
                prior,
                graph,
                temperature=temperature,
                tempering=tempering,
                mask=mask,
                clamp=clamp,
                conditionals=total if index >= burn_in else None,
            )
        if isinstance(evidence, Tensor):
            own = evidence.gather(1, label_map[:, None]).flatten(1).sum(1)
            value = log_latent(z, drift) + own / tempering
        else:
            value = target()(z)
        trace.append(value + log_prior(label_map, prior, graph, mask))
        if after_round is not None:
            after_round(index + 1, label_map, trace[-1])
    probabilities = total / (gibbs_sweeps * (rounds - burn_in))
    return Posterior(z, label_map, probabilities, torch.stack(trace), rejected, direction)
