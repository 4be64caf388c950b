"""Several fits from different starts; the objective, never a label, chooses among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch

from pixelcluster.config import RunConfig
from pixelcluster.training import distributed
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.fit import Fit, Progress


class Judged(Protocol):
    """A fit."""

    @property
    def objective(self) -> float:
        """The higher, the better."""


AnyFit = TypeVar("AnyFit", bound=Judged)


@dataclass
class Restarts(Generic[AnyFit]):
    """How far `best_of` got.

    Attributes:
        done: starts done.
        fit: the fit of the next start, if it is under way.
        best: the best fit of those done.
    """

    done: int = 0
    fit: AnyFit | None = None
    best: AnyFit | None = None


def best_of(
    count: int,
    start: Callable[[int], AnyFit],
    learn: Callable[[AnyFit], None],
    *,
    seed: int,
    deadline: float = math.inf,
    at: Restarts[AnyFit],
) -> AnyFit:
    """Return the fit with the highest objective of several.

    Args:
        count: starts.
        start: makes a fit from a seed.
        learn: runs a fit to its end.
        seed: of all starts.
        deadline: `clock.now()` after which no further start is tried.
        at: where to go on; it is moved along, so that `learn` can save it.
    """
    while at.best is None or at.done < count:
        if at.fit is None:
            at.fit = start(seed * 1000 + at.done)
        learn(at.fit)
        if at.best is None or at.fit.objective > at.best.objective:
            at.best = at.fit
        at.fit, at.done = None, at.done + 1
        if distributed.late(deadline):
            at.done = count
    return at.best


def best_fit(
    images: Sequence[TrainingImage],
    config: RunConfig,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
    at: Restarts[Fit] | None = None,
) -> Fit:
    """Return the fit with the highest objective of `training.restarts`, each from its own start.

    Args:
        images: the training set.
        config: the settings.
        seed: of all starts.
        device: where to compute.
        deadline: `clock.now()` after which no further start is tried.
        progress: see `Fit.run`.
        at: where to go on; it is moved along, so that `progress` can save it.

    Raises:
        PixelClusterError: see `Fit`.
    """
    return best_of(
        config.training.restarts,
        lambda own_seed: Fit(images, config, seed=own_seed, device=device),
        lambda fit: fit.run(config.training.epochs, deadline=deadline, progress=progress),
        seed=seed,
        deadline=deadline,
        at=at or Restarts(),
    )
