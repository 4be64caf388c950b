"""How far a training is, and the learning rate that follows from it: one for all per-pixel networks."""

from __future__ import annotations

import math

from pixelcluster import clock

_AHEAD = 0.05
"""Share of the time by which the clock must run ahead of the steps before the schedule follows it."""

_FULL = 0.8
"""Share of the training at the full rate, of `late_cosine`."""


class Schedule:
    """Counts the steps of a training that ends by their number or at a deadline, whichever comes first.

    Args:
        steps: at most.
        deadline: of `clock.now()`; one step is always taken.

    Attributes:
        taken: steps that are done; whoever takes one adds 1.
        started: `clock.now()` at the beginning.
    """

    def __init__(self, steps: int, deadline: float) -> None:
        self.started, self.taken = clock.now(), 0
        self._steps, self._limit = steps, max(deadline - self.started, 1e-9)

    @property
    def share(self) -> float:
        """Share of the training that is used up, in [0, 1]; 0 before the first step of any."""
        if self.taken >= self._steps:
            return 1.0
        if self.taken == 0:
            return 0.0
        done, used = self.taken / self._steps, (clock.now() - self.started) / self._limit
        if used >= 1:
            return 1.0
        # Only a clock that is well ahead counts: a fit that ends by its steps must not depend on it at all.
        return used if used > done + _AHEAD else done


def cosine(share: float) -> float:
    """Return a learning rate over its peak that falls from 1 to 0 along half a cosine (Loshchilov, 2017)."""
    return 0.5 * (1 + math.cos(math.pi * share))


def late_cosine(share: float) -> float:
    """Return 1 for the first four fifths of a training, then `cosine`.

    So that the last state is no accident of the last steps. In budgets of minutes steps at the full rate are
    scarce: a rate that falls from the start costs IIC points.
    """
    return cosine(max(0.0, (share - _FULL) / (1 - _FULL)))
