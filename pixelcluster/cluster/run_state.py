"""A run as a whole as a nested mapping of tensors and numbers, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from pixelcluster import clock
from pixelcluster.cluster.fit import ImageFit
from pixelcluster.cluster.fit_state import fit_state, load_fit
from pixelcluster.resuming.state_file import State
from pixelcluster.training.restarts import Restarts


@dataclass
class ImageRun:
    """Where a run stands.

    Attributes:
        labels: (N,) int64 that every fit starts from; None: each from its own random ones.
        starts: the restarts.
        step: steps taken in all of them; it numbers the checkpoints.
        deadline: `clock.now()` the run ends at.
        chains_until: `clock.now()` the restarts end at.
    """

    labels: Tensor | None = None
    starts: Restarts[ImageFit] = field(default_factory=Restarts)
    step: int = 0
    deadline: float = math.inf
    chains_until: float = math.inf


def run_state(run: ImageRun) -> State:
    """Return a run between two steps, but for images and settings: see `resuming.identity`."""
    return {
        "labels": run.labels,
        "starts": run.starts.state(fit_state),
        "step": run.step,
        "seconds_left": [clock.seconds_left(end) for end in (run.deadline, run.chains_until)],
    }


def load_run(run: ImageRun, state: State, start: Callable[[int], ImageFit]) -> None:
    """Put a `run_state` into a run; call it inside `of_checkpoint`.

    Args:
        run: at its start.
        state: the state.
        start: makes a fit from a seed, from the labels of the run.
    """

    def fit(own: State) -> ImageFit:
        made = start(int(own["seed"]))
        load_fit(made, own)
        return made

    run.labels, run.step = state["labels"], int(state["step"])
    run.starts = Restarts.of_state(state["starts"], fit)
    run.deadline, run.chains_until = map(clock.in_seconds, state["seconds_left"])
