"""Gibbs on the label map: exact conditionals of all cells of a colour at once, sampled or maximised.

    p(y_p = k | rest) ~ p(x | z, y_p = k, rest)^(1 / tempering) theta_k f_p(k) exp(beta sum_q w_pq [y_q = k])

Cells of one colour share neither an edge nor a pixel that G lets both move, so given the others they are
independent. theta, the proportions of the image, is redrawn once a sweep (`model.prior`).

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 5-7; mean field: Bishop,
Pattern Recognition and Machine Learning, section 10.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pixelcluster.model.generator import CandidateEvidence
from pixelcluster.model.graph import Graph, SparseGraph
from pixelcluster.model.prior import LabelPrior, label_counts
from pixelcluster.sampling.noise import Streams

Evidence = Tensor | CandidateEvidence


def log_unary(log_proportions: Tensor, prior: LabelPrior, graph: Graph) -> Tensor:
    """Return log theta_k + log f_p(k), (B, K, *graph.shape) without a copy, from log theta (B, K)."""
    unary = log_proportions.view(*log_proportions.shape, *[1] * len(graph.shape))
    profile = prior.position(graph.shape)
    if profile is not None:
        unary = unary + profile
    return unary.expand(-1, -1, *graph.shape)


def conditional_logits(
    label_map: Tensor,
    colour: int,
    evidence: Evidence,
    unary: Tensor,
    graph: Graph,
    *,
    potts_weight: float,
    tempering: float = 1.0,
) -> Tensor:
    """Return log p(y_p = k | rest) of the cells of a colour, up to a constant in k, (B, K, *cells).

    Args:
        label_map: (B, *graph.shape) int64.
        colour: index into graph.colours.
        evidence: log p(x_p | z, y_p = k), (B, K, *graph.shape), or a function of (label map, cells).
        unary: (B, K, *graph.shape), see `log_unary`.
        graph: neighbours and colours.
        potts_weight: beta.
        tempering: divisor of the evidence.
    """
    cells = graph.colours[colour]
    values = evidence(label_map, cells) if callable(evidence) else evidence[cells]
    logits = torch.add(unary[cells], values, alpha=1 / tempering)
    if potts_weight:
        logits.add_(graph.votes(label_map, colour, logits.shape[1]), alpha=potts_weight)
    return logits


@torch.no_grad()
def sweep(
    streams: Streams,
    label_map: Tensor,
    evidence: Evidence,
    prior: LabelPrior,
    graph: Graph,
    *,
    temperature: float = 1.0,
    tempering: float = 1.0,
    mask: Tensor | None = None,
    clamp: Tensor | None = None,
    conditionals: Tensor | None = None,
) -> Tensor:
    """Update theta, then every cell once.

    Args:
        streams: random numbers of the batch's images.
        label_map: (B, *graph.shape) int64; not changed.
        evidence: see `conditional_logits`.
        prior: the prior on the label map.
        graph: neighbours and colours.
        temperature: of each label's conditional; 0 maximises it (ICM) and sets theta to its posterior mean,
            which is its mode in log-odds, so that the joint never falls.
        tempering: divisor of the evidence.
        mask: (B, *graph.shape) bool; cells where it is False do not count in theta.
        clamp: (B, *graph.shape) int64; labels that are known and kept, -1 elsewhere. The sweep then leaves
            the posterior given those labels invariant.
        conditionals: (B, K, *graph.shape), to which the conditionals drawn from are added.

    Returns:
        The new label map.
    """
    updated = label_map.clone() if clamp is None else clamp.where(clamp >= 0, label_map)
    unary = log_unary(draw_log_proportions(streams, updated, prior, temperature, mask), prior, graph)
    uniform = streams.uniform(graph.shape) if temperature > 0 else None
    for colour, cells in enumerate(graph.colours):
        logits = conditional_logits(
            updated,
            colour,
            evidence,
            unary,
            graph,
            potts_weight=prior.potts_weight,
            tempering=tempering,
        )
        if conditionals is not None or uniform is not None:
            probabilities = logits.div_(temperature or 1.0).softmax(1)
            if clamp is not None:
                probabilities = held(probabilities, clamp[cells])
        if conditionals is not None:
            conditionals[cells] += probabilities
        # max is several times faster than argmax along this dimension.
        labels = logits.max(1).indices if uniform is None else draw_labels(probabilities, uniform[cells])
        updated[cells] = labels if clamp is None else clamp[cells].where(clamp[cells] >= 0, labels)
    return updated


def held(probabilities: Tensor, clamp: Tensor) -> Tensor:
    """Return probabilities (B, K, ...) with 1 at the labels that are known: clamp (B, ...), -1 elsewhere."""
    known = clamp[:, None]
    clusters = torch.arange(probabilities.shape[1], device=known.device)
    one_hot = known == clusters.view(-1, *[1] * (known.ndim - 2))
    return one_hot.float().where(known >= 0, probabilities)


def draw_labels(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Draw labels by inverse distribution function, one random number per cell.

    Gumbel or exponential races need K numbers a cell, which cost several times the rest of the sweep.

    Args:
        probabilities: (B, K, ...), non-negative; need not sum to 1.
        uniform: (B, ...) in [0, 1).

    Returns:
        (B, ...) int64; never a label of probability 0.
    """
    cumulative = probabilities.clone()
    # torch.cumsum is several times slower along this dimension.
    for k in range(1, cumulative.shape[1]):
        cumulative[:, k] += cumulative[:, k - 1]
    # uniform <= 1 - 2^-24 keeps the threshold below the total in float32 too, so the count stays below K.
    threshold = uniform[:, None] * cumulative[:, -1:]
    labels: Tensor = (cumulative <= threshold).sum(1)
    return labels


def draw_log_proportions(
    streams: Streams,
    label_map: Tensor,
    prior: LabelPrior,
    temperature: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Return log theta given the labels, (B, K): a Dirichlet draw, or at temperature 0 its mean."""
    log_base = prior.proportions.log().expand(len(label_map), -1)
    if prior.concentration is None:
        return log_base
    counts = label_counts(label_map, prior.n_clusters, mask)
    concentration = prior.posterior_concentration(counts)
    assert concentration is not None
    if temperature > 0:
        log_theta = streams.log_dirichlet(concentration)
    else:
        log_theta = concentration.log() - concentration.sum(1, keepdim=True).log()
    # The marginal of a single label is pi itself; no cell at all leaves pi too.
    return log_theta.where(counts.sum(1, keepdim=True) > 1, log_base)


@torch.no_grad()
def mean_field(
    evidence: Tensor,
    prior: LabelPrior,
    graph: SparseGraph,
    *,
    n_sweeps: int,
    tempering: float = 1.0,
    mask: Tensor | None = None,
    start: Tensor | None = None,
    clamp: Tensor | None = None,
) -> Tensor:
    """Return q(y_p = k), (B, K, *graph.shape), the factorised approximation of p(y, theta | x, z).

    No randomness. Coordinate ascent colour by colour: the bound never falls, so no damping is needed.

    Args:
        evidence: log p(x_p | z, y_p = k), (B, K, *graph.shape).
        prior: the prior on the label map.
        graph: neighbours and colours.
        n_sweeps: passes over all cells.
        tempering: divisor of the evidence.
        mask: (B, *graph.shape) bool; cells where it is False do not count in theta.
        start: (B, K, *graph.shape) q to start from; else the evidence and pi alone.
        clamp: (B, *graph.shape) int64; labels that are known and kept, -1 elsewhere.
    """
    log_base = prior.proportions.log()[None]
    q = start
    if q is None:
        q = torch.add(log_unary(log_base, prior, graph), evidence, alpha=1 / tempering).softmax(1)
    q = q.clone() if clamp is None else held(q, clamp)
    for _ in range(n_sweeps):
        counted = q if mask is None else q * mask[:, None]
        concentration = prior.posterior_concentration(counted.flatten(2).sum(2))
        if concentration is None:
            log_proportions = log_base
        else:
            expected = concentration.digamma() - concentration.sum(1, keepdim=True).digamma()
            log_proportions = expected.where(concentration > 0, -torch.inf)
        unary = log_unary(log_proportions, prior, graph)
        for colour, cells in enumerate(graph.colours):
            logits = torch.add(unary[cells], evidence[cells], alpha=1 / tempering)
            if prior.potts_weight:
                logits += prior.potts_weight * graph.soft_votes(q, colour)
            updated = logits.softmax(1)
            q[cells] = updated if clamp is None else held(updated, clamp[cells])
    return q
