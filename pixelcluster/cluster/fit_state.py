"""A fit under way as a nested mapping of tensors and numbers, and back."""

from __future__ import annotations

import torch

from pixelcluster.cluster.fit import ImageFit
from pixelcluster.resuming.state_file import State, load_optimiser, optimiser_state


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
