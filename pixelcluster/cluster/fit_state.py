"""A fit under way, and the run it is part of, as nested mappings of tensors and numbers, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pixelcluster import clock
from pixelcluster.cluster.fit import ImageFit
from pixelcluster.training.restarts import Restarts
from pixelcluster.training.state_file import State, load_optimiser, optimiser_state


@dataclass
class ImageRun:
    """Where a run stands.

    Attributes:
        labels: (N,) int64 that every fit starts from; None: each from its own random ones.
        starts: the restarts.
        step: steps taken in all of them; it numbers the checkpoints.
        deadline: `clock.now()` the run ends at.
    """

    labels: Tensor | None = None
    starts: Restarts[ImageFit] = field(default_factory=Restarts)
    step: int = 0
    deadline: float = math.inf


def run_state(run: ImageRun) -> State:
    """Return a run between two steps, but for images and settings: see `training.identity`."""
    return {
        "labels": run.labels,
        "starts": run.starts.state(fit_state),
        "step": run.step,
        "seconds_left": clock.seconds_left(run.deadline),
    }


def load_run(run: ImageRun, state: State, start: Callable[[int], ImageFit]) -> None:
    """Put a `run_state` into a run; call it inside `of_checkpoint`.

    Args:
        run: at its start; a deadline of its own stays.
        state: the state.
        start: makes a fit from a seed, from the labels of the run.
    """

    def fit(own: State) -> ImageFit:
        made = start(int(own["seed"]))
        load_fit(made, own)
        return made

    run.labels, run.step = state["labels"], int(state["step"])
    run.starts = Restarts.of_state(state["starts"], fit)
    if run.deadline == math.inf:
        run.deadline = clock.in_seconds(state["seconds_left"])


def fit_state(fit: ImageFit) -> State:
    """Return everything a fit's next step depends on, but for images, settings and graph.

    The random numbers of a step come from (seed, image, iteration); those of the order of images and of the
    targets of empty clusters from one generator, whose state is among it.
    """
    return {
        "seed": fit.seed,
        "iteration": fit.iteration,
        "share": fit.share,
        "generator": fit.generator.state_dict(),
        "recognition": fit.recognition.state_dict(),
        "optimisers": [optimiser_state(optimiser) for optimiser in fit.optimisers],
        "labels": fit.labels,
        "shares": fit.shares,
        "objective": torch.tensor(fit.objective, dtype=torch.float64),  # JSON has no infinity
        "rejected": fit.rejected,
        "random": fit.random.get_state(),
        "batches": fit.batches.state_dict(),
    }


def load_fit(fit: ImageFit, state: State) -> None:
    """Put a `fit_state` into a fit of the same images, settings and graph.

    Raises:
        KeyError, ValueError, TypeError, RuntimeError: the state is of another fit; `of_checkpoint` says so.
    """
    fit.iteration, fit.share = int(state["iteration"]), float(state["share"])
    fit.generator.load_state_dict(state["generator"])
    fit.recognition.load_state_dict(state["recognition"])
    for optimiser, own in zip(fit.optimisers, state["optimisers"], strict=True):
        load_optimiser(optimiser, own)
    labels, n_clusters = state["labels"], fit.generator.n_clusters
    if labels.shape != fit.labels.shape or not 0 <= int(labels.min()) <= int(labels.max()) < n_clusters:
        raise ValueError(f"labels do not fit {len(fit.labels)} images and {n_clusters} clusters")
    fit.labels, fit.shares = labels, state["shares"]
    fit.objective, fit.rejected = float(state["objective"]), int(state["rejected"])
    fit.random.set_state(state["random"])
    fit.batches.load_state_dict(state["batches"])
