"""A fit under way as a nested mapping of tensors and numbers, and back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pixelcluster.resuming.state_file import State, load_optimiser, optimiser_state
from pixelcluster.training.build import make_generator, make_optimiser, prior_of
from pixelcluster.training.refusals import Refusals

if TYPE_CHECKING:
    from pixelcluster.training.fit import Fit


@dataclass
class Place:
    """How far `Fit.run` got.

    Attributes:
        epoch: epochs done.
        batch: batches of the next epoch done.
        counts: (n_rows, K) expected counts of those batches; None before the first.
        log_joint: summed over their images, nats.
    """

    epoch: int = 0
    batch: int = 0
    counts: Tensor | None = None
    log_joint: float = 0.0


def fit_state(fit: Fit) -> State:
    """Return everything a fit's next step depends on, but for images, settings and seed.

    There is no generator state among it: every random number comes from (seed, image id, visit) or from
    (seed, epoch).
    """
    return {
        "seed": fit.seed,
        "n_clusters": fit.generator.n_clusters,
        "sigma": fit.sigma,
        "generator": fit.generator.state_dict(),
        "optimiser": optimiser_state(fit.optimiser),
        "prior": {"proportions": fit.prior.proportions, "rows": fit.prior.rows},
        "chains": fit.chains.state_dict(),
        "probabilities": {str(index): own for index, own in fit.probabilities.items()},
        "history": fit.history,
        "place": vars(fit.place),
        "refusals": {
            "visits": fit.refusals.visits,
            "images": {str(index): count for index, count in fit.refusals.images.items()},
            "proposals": fit.refusals.proposals,
        },
    }


def load_fit(fit: Fit, state: State) -> None:
    """Put a `fit_state` into a fit of the same images, settings and seed.

    Raises:
        KeyError, ValueError, TypeError, RuntimeError: the state is of another fit; `of_checkpoint` says so.
    """
    n_clusters = int(state["n_clusters"])
    n_channels = fit.images[0].targets.shape[0]
    proportions, rows = state["prior"]["proportions"], state["prior"]["rows"]
    if proportions.shape != (n_clusters,):
        raise ValueError(f"a prior of {len(proportions)} clusters, a generator of {n_clusters}")
    fit.sigma = float(state["sigma"])
    fit.generator = make_generator(fit.config, n_clusters, n_channels, fit.sigma, fit.seed)
    fit.generator.load_state_dict(state["generator"])
    fit.generator.to(fit.device)
    fit.optimiser = make_optimiser(fit.generator, fit.config)
    load_optimiser(fit.optimiser, state["optimiser"])
    rows = None if rows is None else rows.to(fit.device)
    fit.prior = prior_of(fit.config.prior, proportions.to(fit.device), rows)
    fit.chains.load_state_dict(state["chains"])
    _check_chains(fit)
    fit.probabilities = {int(index): own for index, own in state["probabilities"].items()}
    fit.history = state["history"]
    fit.place = Place(**state["place"])
    if fit.place.counts is not None:
        fit.place.counts = fit.place.counts.to(fit.device)
    refusals = state["refusals"]
    images = Counter({int(index): int(count) for index, count in refusals["images"].items()})
    fit.refusals = Refusals(int(refusals["visits"]), images, int(refusals["proposals"]))


def _check_chains(fit: Fit) -> None:
    """Refuse chains that do not fit the images: their labels are indices."""
    for index, image in enumerate(fit.images):
        z, label_map, _ = fit.chains.get([index])
        wanted = fit.generator.trunk.latent_shape(*image.mask.shape)
        shapes = {z.shape[1:], fit.chains.directions([index]).shape[1:]}
        if label_map.shape[1:] != image.mask.shape or shapes != {wanted}:
            raise ValueError(f"chain {index} has another size than its image")
        if not 0 <= int(label_map.min()) <= int(label_map.max()) < fit.generator.n_clusters:
            raise ValueError(f"chain {index} has labels outside 0 to {fit.generator.n_clusters - 1}")
