"""The loop images and pixels share: heads race on the sampled bound, the best goes on with the exact one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pixelcluster import clock
from pixelcluster.baselines.schedule import Schedule, cosine
from pixelcluster.errors import PixelClusterError
from pixelcluster.variational.information import Loss, Weights, mixture_loss
from pixelcluster.variational.mixture import exact_terms, sampled_terms
from pixelcluster.variational.networks import Decoder, MixtureHead

_MEMORY = 0.98
"""Of the running mean loss by which a head is kept."""
_DENSITIES = ("prior_mean", "prior_log_std", "decoder.log_std")
_DENSITY_RATE = 10
"""Times the learning rate, for the few numbers of the densities themselves: they have far to go."""
_WARM_UP = 0.05
"""Share of the training in which the learning rate rises."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of the loop.

    Args:
        steps: optimiser steps.
        learning_rate: peak of Adam's; it rises over the first 5 % and falls along a cosine.
        n_latents: d.
        heads: mixtures that race.
        race: share of the training after which the head of the lowest running mean loss is left alone.
        weights: of the loss.
    """

    steps: int
    learning_rate: float
    n_latents: int
    heads: int
    race: float
    weights: Weights


class Encoded(NamedTuple):
    """A batch of items (images, or cells of label maps) after the encoder.

    Args:
        features: (B, F).
        observed: what z has to explain, (B, D).
        pair: features of the same items plain and changed, (M, F) each.
    """

    features: Tensor
    observed: Tensor
    pair: tuple[Tensor, Tensor]


class MixtureVae(nn.Module):
    """Encoder trunk, racing mixture heads and decoder.

    Args:
        trunk: inputs to features.
        n_features: F.
        n_observed: D.
        n_clusters: K.
        settings: number of heads and of latents.
    """

    def __init__(
        self, trunk: nn.Module, n_features: int, n_observed: int, n_clusters: int, settings: TrainSettings
    ) -> None:
        super().__init__()
        self.trunk, self.n_observed = trunk, n_observed
        heads = [MixtureHead(n_features, n_clusters, settings.n_latents) for _ in range(settings.heads)]
        self.heads = nn.ModuleList(heads)
        self.decoder = Decoder(settings.n_latents, n_observed)

    @property
    def head(self) -> MixtureHead:
        """The head in use; the first, while several race."""
        head = self.heads[0]
        assert isinstance(head, MixtureHead)
        return head

    def loss(self, head: MixtureHead, batch: Encoded, weights: Weights, generator: torch.Generator) -> Loss:
        """Return one head's loss: with the exact sum over c where it is alone, else with one draw."""
        posterior = head.posterior(batch.features)
        if len(self.heads) == 1:
            observed = batch.observed[:, None]
            terms = exact_terms(
                posterior, head.prior(), lambda z: self.decoder.log_likelihood(observed, z), generator
            )
        else:
            terms = sampled_terms(
                posterior, head.prior(), lambda z: self.decoder.log_likelihood(batch.observed, z), generator
            )
        pair = (head.log_q(batch.pair[0]), head.log_q(batch.pair[1]))
        return mixture_loss(posterior.log_q, pair, terms, self.n_observed, weights)


def train(
    model: MixtureVae,
    encode: Callable[[], Encoded],
    settings: TrainSettings,
    generator: torch.Generator,
    *,
    deadline: float = math.inf,
) -> list[dict[str, float]]:
    """Fit a model in place and leave it in evaluation mode with one head.

    Args:
        model: changed in place.
        encode: draws the next batch and encodes it.
        settings: of the loop.
        generator: of the noise in z and c.
        deadline: `clock.now()` of the end; learning rate and race follow the clock where it comes before
            the last step.

    Returns:
        The objective curve, an entry a step: seconds, and of the best head the total loss, the ELBO, the
        information I_q(c; x) and the disagreement, nats an item.

    Raises:
        PixelClusterError: the loss is no longer finite.
    """
    schedule = Schedule(settings.steps, deadline)
    named = dict(model.named_parameters())
    densities = [named.pop(name) for name in list(named) if name.endswith(_DENSITIES)]
    optimiser = torch.optim.Adam([{"params": list(named.values())}, {"params": densities}])
    peaks = settings.learning_rate, settings.learning_rate * _DENSITY_RATE
    running = torch.zeros(len(model.heads))
    history: list[dict[str, float]] = []
    model.train()
    while (share := schedule.share) < 1:
        if share >= settings.race and len(model.heads) > 1:
            running = _keep_best(model, running)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * _rate(share)
        batch = encode()
        losses = [
            model.loss(head, batch, settings.weights, generator)  # type: ignore[arg-type]
            for head in model.heads
        ]
        optimiser.zero_grad()
        torch.stack([loss.total for loss in losses]).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        totals = torch.tensor([float(loss.total.detach()) for loss in losses])
        if not totals.isfinite().all():
            raise PixelClusterError(
                f"loss is {totals.tolist()} at step {schedule.taken + 1}; lower the learning rate"
            )
        running = totals if schedule.taken == 0 else _MEMORY * running + (1 - _MEMORY) * totals
        best = losses[int(running.argmin())]
        history.append(
            {"seconds": clock.now() - schedule.started}
            | {name: float(value.detach()) for name, value in best._asdict().items()}
        )
        schedule.taken += 1
    if len(model.heads) > 1:
        _keep_best(model, running)
    model.eval()
    return history


def _keep_best(model: MixtureVae, running: Tensor) -> Tensor:
    """Leave the head of the lowest running loss, and return that loss."""
    best = int(running.argmin())
    model.heads = nn.ModuleList([model.heads[best]])
    return running[best : best + 1]


def _rate(share: float) -> float:
    """Return the learning rate over its peak at a share of the training."""
    if share < _WARM_UP:
        return 0.04 + 0.96 * share / _WARM_UP
    return cosine((share - _WARM_UP) / (1 - _WARM_UP))
