"""Several fits from different starts; the objective, never a label, chooses among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pixelcluster.config import RunConfig
from pixelcluster.training import distributed
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.fit import Fit, Progress


@dataclass
class Restarts:
    """How far `best_fit` got.

    Attributes:
        done: starts done.
        fit: the fit of the next start, if it is under way.
        best: the best fit of those done.
    """

    done: int = 0
    fit: Fit | None = None
    best: Fit | None = None


def best_fit(
    images: Sequence[TrainingImage],
    config: RunConfig,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
    at: Restarts | None = None,
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
    at = at or Restarts()
    while at.best is None or at.done < config.training.restarts:
        if at.fit is None:
            at.fit = Fit(images, config, seed=seed * 1000 + at.done, device=device)
        at.fit.run(config.training.epochs, deadline=deadline, progress=progress)
        if at.best is None or at.fit.objective > at.best.objective:
            at.best = at.fit
        at.fit, at.done = None, at.done + 1
        if distributed.late(deadline):
            at.done = config.training.restarts
    return at.best
