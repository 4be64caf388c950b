"""Langevin dynamics on a continuous position, one independent chain per batch row.

    position <- position + step_size * P * gradient + sqrt(2 * step_size * temperature * P) * noise

P is a diagonal preconditioner, 1 by default. The step size is the factor of the gradient; papers also write
d^2 / 2 for it. The stationary law is biased to first order in the step size.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pixelcluster.sampling.noise import Streams

LogProb = Callable[[Tensor], Tensor]

_PROBE = 1e-2
_POWER_ITERATIONS = 3
"""From a random direction, along which the curvature is 7 to 18 times less than the largest."""


class LangevinState(NamedTuple):
    """A batch of chains.

    Attributes:
        position: (B, ...).
        log_prob: (B,), nats.
        gradient: (B, ...), of log_prob with respect to position.
    """

    position: Tensor
    log_prob: Tensor
    gradient: Tensor


def init(position: Tensor, log_prob_fn: LogProb) -> LangevinState:
    """Return the state at a position; call it again after anything log_prob_fn depends on has changed.

    Args:
        position: (B, ...).
        log_prob_fn: maps (B, ...) to (B,), row by row.
    """
    with torch.enable_grad():
        position = position.detach().requires_grad_()
        log_prob = log_prob_fn(position)
        # Only the position is differentiated: the engine computes no gradient of any parameter.
        (gradient,) = torch.autograd.grad(log_prob.sum(), position)
    return LangevinState(position.detach(), log_prob.detach(), gradient)


def step(
    streams: Streams,
    state: LangevinState,
    log_prob_fn: LogProb,
    *,
    step_size: float,
    temperature: float = 1.0,
    preconditioner: Tensor | None = None,
) -> tuple[LangevinState, Tensor]:
    """Take one step: one evaluation of log_prob_fn and its gradient.

    Args:
        streams: random numbers of the batch's images.
        state: the chains.
        log_prob_fn: as given to `init`.
        step_size: delta, the factor of the gradient.
        temperature: of the sampled law exp(log_prob / temperature); 0 is gradient ascent.
        preconditioner: positive diagonal P, broadcast to the position.

    Returns:
        The chains; and which of them stayed, as what was proposed is not finite, (B,) bool.
    """
    scale = step_size if preconditioner is None else step_size * preconditioner
    proposal = state.position + scale * state.gradient
    if temperature > 0:
        noise = streams.normal(state.position.shape[1:])
        proposal = proposal + (2 * temperature * torch.as_tensor(scale)).sqrt() * noise
    proposed = init(proposal, log_prob_fn)
    accepted = proposed.log_prob.isfinite() & proposed.gradient.flatten(1).isfinite().all(1)
    chosen = LangevinState(*(_choose(accepted, new, old) for new, old in zip(proposed, state, strict=True)))
    return chosen, ~accepted


def run(
    streams: Streams,
    state: LangevinState,
    log_prob_fn: LogProb,
    n_steps: int,
    *,
    step_size: float,
    temperature: float = 1.0,
    preconditioner: Tensor | None = None,
) -> tuple[LangevinState, Tensor]:
    """Take steps, and return the last state and how many of each chain's were rejected, (B,); see `step`."""
    rejected = torch.zeros(len(state.position), dtype=torch.int64, device=state.position.device)
    for _ in range(n_steps):
        state, stayed = step(
            streams,
            state,
            log_prob_fn,
            step_size=step_size,
            temperature=temperature,
            preconditioner=preconditioner,
        )
        rejected += stayed
    return state, rejected


def inverse_curvature(
    streams: Streams, state: LangevinState, log_prob_fn: LogProb, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a preconditioner, one over about the largest curvature of -log_prob, and the direction of that.

    A latent cell that many label cells depend on is many times stiffer than one of a fine field; with this
    factor one step size serves both. By power iteration on differences of gradients, which comes from below:
    from a random direction three iterations reach .5 to 1.1 of the largest curvature, .8 in the median, on
    targets of photographs; so does one from the direction of the visit before. See also `shorten`.

    Args:
        streams: random numbers of the batch's images.
        state: where the curvature is measured.
        log_prob_fn: as given to `init`.
        direction: (B, ...), what was returned for a state nearby; 0 where nothing is known.

    Returns:
        The preconditioner (B, 1, ...), at most 1, as the prior's own curvature is 1; and the direction
        (B, ...).
    """
    known = _rms(direction).isfinite() & (_rms(direction) > 0)
    direction = direction.where(known, streams.normal(state.position.shape[1:]))
    for index in range(1 if known.all() else _POWER_ITERATIONS):
        moved = init(state.position + _PROBE * direction / _rms(direction), log_prob_fn)
        turned = (state.gradient - moved.gradient) / _PROBE
        direction = turned.where(~known | (index == 0), direction)  # whatever else is in the batch
    return 1 / _rms(direction).clamp_min(1.0), direction


def shorten(preconditioner: Tensor, before: LangevinState, after: LangevinState) -> Tensor:
    """Return a preconditioner (B, 1, ...) no larger than one over the curvature along the move just made.

    Curvature grows on the way from a start, several times within a few steps. A step that is too long for it
    moves along the stiffest directions, so that this alone, which takes no evaluation, keeps chains from
    growing; a Metropolis test would hold them at such a start.
    """
    moved = _rms(after.position - before.position).clamp_min(torch.finfo(torch.float32).tiny)
    return torch.minimum(preconditioner, moved / _rms(after.gradient - before.gradient))


def _rms(values: Tensor) -> Tensor:
    """Return the root mean square of each row of (B, ...), as (B, 1, ...)."""
    return values.square().mean(tuple(range(1, values.ndim)), keepdim=True).sqrt()


def _choose(accepted: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return rows of new where accepted (B,), else of old."""
    return new.where(accepted.view(-1, *[1] * (new.ndim - 1)), old)
