"""Several fits from different starts; the objective, never a label, chooses among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pixelcluster.resuming.state_file import State
from pixelcluster.training import distributed


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

    def state(self, describe: Callable[[AnyFit], State]) -> State:
        """Return the restarts as a nested mapping, each fit as `describe` has it."""
        fit, best = (None if own is None else describe(own) for own in (self.fit, self.best))
        return {"done": self.done, "fit": fit, "best": best}

    @staticmethod
    def of_state(state: State, load: Callable[[State], AnyFit]) -> Restarts[AnyFit]:
        """Return the restarts of a `state`, each fit made by `load`."""
        fit, best = (None if state[name] is None else load(state[name]) for name in ("fit", "best"))
        return Restarts(int(state["done"]), fit, best)


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
